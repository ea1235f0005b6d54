# file: tap/steer.c
# test: e2e/test_steer_table ties_go_to_the_lower_index
# Of two alike the lower index is active.
s/ \|\| \(y == values\[c\] && e < f->clamp\[c\]\.encoder\)//
