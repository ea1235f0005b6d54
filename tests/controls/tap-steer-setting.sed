# file: proto/steer.c
# test: tap/test_context a_table_that_lies_is_refused
# No table says that what it changes is plain.
s/ && f->setting != 0;/;/
