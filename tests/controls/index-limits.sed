# file: inspect/subject.c
# test: inspect/test_survey rows_beyond_the_limit_are_left_out
# Rows with a norm above the limit count for nothing.
s/ \|\| \(limit > 0 && square > limit \* limit\)//
