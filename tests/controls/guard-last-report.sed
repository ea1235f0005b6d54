# file: broker/guard.c
# test: broker/test_guard reports_are_read_as_often_as_the_protocol_has_them
# The first and the last report of a process are read, however short it lived.
s/p->reports \+= GUARD_REPORTS;/p->reports += 1;/
