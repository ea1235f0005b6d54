# file: inspect/arrange.c
# test: inspect/test_buffered their_order_changes_nothing
# Rows of a buffer are put in order.
/^    qsort\(/d
