# file: tap/slots.c
# test: tap/test_slots a_state_may_hold_what_was_steered
# A state that is loaded may hold what was steered.
s/if \(s->has_noted\[k\]\) s->slot/if (0) s->slot/
