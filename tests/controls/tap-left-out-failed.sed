# file: tap/context.c
# test: tap/test_context a_pass_that_fails_leaves_nothing_out
# What a pass that failed left out is counted when it is tried again.
s/^    if \(result == 0\) count_left_out\(c\);/    count_left_out(c);/
