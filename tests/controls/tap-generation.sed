# file: tap/slots.c
# test: tap/test_slots an_entry_of_a_generation_that_has_ended_has_no_number
# An entry whose generation has ended within its own batch is nobody's.
s/if \(own->generation != generation\) return 0;/(void)generation;/
