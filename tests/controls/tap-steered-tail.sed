# file: tap/slots.c
# test: tap/test_slots a_tail_takes_its_setting_along
# What is below a tail that was removed stays steered.
s/if \(from <= s->slot\[i\]\.noted_from\[k\]\) s->slot/if (1) s->slot/
