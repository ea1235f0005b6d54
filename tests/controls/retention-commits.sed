# file: sink/retention.c
# test: sink/test_desk live_rows_go_by_age
# Where nothing else commits, the sink does, so that what was freed last can be overwritten.
s/result == ERR_OK && scrub.wants_commit/0/
