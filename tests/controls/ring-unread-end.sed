# file: engine/ring.c
# test: e2e/test_rings a_stream_that_ends_tells_its_programs
# Rows that the end of a stream leaves unread are told.
s/^    if \(!unread\) return;/    return;/
