# file: tap/steering.c
# test: tap/test_context a_table_that_lies_is_refused
# A table that others may write is not read.
s/own_judge\("file", path, &st\)/ERR_OK/
