# file: sink/held_out.c
# test: sink/test_held_out at_the_end_who_still_measures_keeps_them
# A trainer that writes its results still measures with them.
s/s->is_end && !is_in_use\(s, entry\)/s->is_end/
