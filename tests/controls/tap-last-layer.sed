# file: tap/outlet.c
# test: e2e/test_tap hooks_that_cannot_be_are_told
# The last layer has rows of outputs alone, and is refused before the first pass.
s/hooks->hook\[h\]\.layer == layers - 1 && layers > 1/0/
