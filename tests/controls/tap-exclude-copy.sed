# file: tap/slots.c
# test: tap/test_slots a_copy_was_read_as_its_source_was
# A copy of a text that nobody has read is none that was.
s/^    to->read_for = older\(to->read_for, from->read_for\);//
