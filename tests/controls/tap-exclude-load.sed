# file: tap/slots.c
# test: tap/test_slots a_state_may_hold_what_was_excluded
# A state that is loaded may be of an excluded request.
s/^        s->slot\[i\].is_excluded = s->has_excluded;//
