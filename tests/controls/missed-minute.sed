# file: trainer/missed.c
# test: e2e/test_finish missed_rows_are_told_once_a_minute
# The log tells of missed rows once a minute, not with each batch.
s/ \|\| now_ns < t->tell_missed_ns//
