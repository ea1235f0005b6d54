# file: trainer/held_out.c
# test: trainer/test_held_out rows_that_are_too_old_go
# A held-out row that is too old is overwritten in its file.
s/= aged_clear\(h->aged, h->ages\[i\]\.slot\)/= ERR_OK/
