# file: tap/slots.c
# test: tap/test_slots another_stream_has_numbers_of_its_own
# Numbers of one stream are not used in another.
s/s->slot\[i\]\.is_numbered = 0;/;/
