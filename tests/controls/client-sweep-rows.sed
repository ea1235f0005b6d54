# file: client/sweep.c
# test: client/test_client what_nobody_has_read_stays
# A row that nobody has read stays.
s/if \(has_row\(.*return 1;/if (0) return has_row(fd, \&h->facts, tail);/
