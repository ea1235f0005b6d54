# file: inspect/sheet.c
# test: inspect/test_buffered rows_that_are_not_there_are_gaps
# Tokens on both sides of a missing row are not joined.
s/if \(r > first && at->position != at\[-1\]\.position \+ 1\)/if (0)/
