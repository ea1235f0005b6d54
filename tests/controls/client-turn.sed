# file: client/rows.c
# test: client/test_client hooks_are_written_one_by_one_and_seen_together
# A row of sequence 0 is no row.
s/rows\[i\]\.sequence \? flags : RING_ROW_NONE/flags/
