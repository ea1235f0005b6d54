# file: trainer/missed.c
# test: e2e/test_finish the_end_of_the_stream_is_waited_for
# Rows that are left at the end are counted apart from those that were missed.
s/t->undrawn_rows \+= draw_gauges.*//
