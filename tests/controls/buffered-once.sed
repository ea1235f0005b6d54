# file: inspect/arrange.c
# test: inspect/test_buffered a_row_that_came_twice_counts_once
# A row that came twice counts once.
s/if \(i > 0 && is_same\(/if (0 \&\& is_same(/
