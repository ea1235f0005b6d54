# file: tap/slots.c
# test: tap/test_slots a_copy_and_a_shift_keep_what_was_steered
# A copy of what was steered is steered.
s/^        to->noted_from\[k\] = .*/        (void)lower;/
