# file: broker/guard.c
# test: broker/test_guard reports_are_read_as_often_as_the_protocol_has_them
# A report is read as often as the protocol has it.
s/if \(p->reports < 1\) return 0/if (0) return 0/
