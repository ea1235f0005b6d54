# file: tap/steer.c
# test: e2e/test_steer_table rows_are_changed_as_by_the_sae
# A feature that is not among the largest of its row is not active.
s/\|\| larger\[c\] >= f->k\) values/) values/
