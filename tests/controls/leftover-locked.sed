# file: base/leftover.c
# test: base/test_leftover one_that_is_written_stays
# A temporary file that is locked is being written.
s/flock\(fd, LOCK_EX \| LOCK_NB\) == 0/1/
