# file: inspect/block.c
# test: inspect/test_block values_that_are_none_are_left_out
# A value that is no number is no value.
s/if \(!isfinite\(pairs->value\[i\]\)\) return 0;//
