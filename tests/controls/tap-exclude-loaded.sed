# file: tap/slots.c
# test: tap/test_slots what_was_read_is_remembered
# What was loaded nobody has read.
s/^        s->slot\[i\].read_for = 0;//
