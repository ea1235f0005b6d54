# file: trainer/missed.c
# test: e2e/test_finish trainers_come_and_go
# Rows that were gone before a consumer began are none that it missed.
s/t->earlier_rows = draw_gauges.*//
