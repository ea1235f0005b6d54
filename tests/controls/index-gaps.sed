# file: inspect/sheet.c
# test: inspect/test_index what_was_left_out_is_a_gap
# A token whose row was left out has no value.
s/at->is_left_out \? json_null\(\)/0 ? json_null()/
