# file: sink/indexes.c
# test: sink/test_indexes labels_of_an_earlier_one_stay
# Labels do not take the place of those of an earlier index.
s/ && lstat\(out, &st\) == 0;/ \&\& 0 * lstat(out, \&st);/
