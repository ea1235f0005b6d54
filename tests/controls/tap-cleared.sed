# file: tap/slots.c
# test: tap/test_slots a_cleared_slot_begins_anew
# What a slot holds after it was cleared is another sequence.
s/if \(is_meant\(s, i, slot\)\) begin\(&s->slot\[i\]\);/if (is_meant(s, i, slot) \&\& !s->slot[i].generation) begin(\&s->slot[i]);/
