# file: tap/slots.c
# test: tap/test_slots a_position_that_was_submitted_begins_anew
# A token at or below a position that was submitted begins another sequence.
s/if \(position <= own->highest\) begin\(own\);//
