# file: tap/context.c
# test: tap/test_context a_pass_that_fails_begins_other_sequences
# After a pass that failed its slots begin other sequences.
s/^    if \(result != 0\)$/    if (0)/
