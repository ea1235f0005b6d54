# file: buffer/scrub.c
# test: buffer/test_scrub freed_rows_are_in_no_byte_of_the_file
# Pages that rows are put into are overwritten once they are free.
s/set_bit\(s->stale, i\)/(void)i/
