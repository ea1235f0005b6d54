# file: sink/indexes.c
# test: sink/test_indexes what_is_too_old_goes
# An index goes with its rows.
s/result == ERR_OK && seconds < oldest_seconds/0/
