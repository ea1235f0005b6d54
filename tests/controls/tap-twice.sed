# file: tap/ubatch.c
# test: tap/test_ubatch a_row_that_comes_twice_is_a_mismatch
# An entry is one row's at most.
s/!e->is_ambiguous && e->is_claimed/0/
