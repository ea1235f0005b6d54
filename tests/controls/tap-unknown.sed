# file: tap/ubatch.c
# test: tap/test_ubatch a_row_that_was_not_submitted_is_a_mismatch
# A row that nobody submitted is a mismatch, and no row of another.
s/^        if \(!i\) .*/        if (!i \&\& s->count) i = 1;\n        if (!i)/
