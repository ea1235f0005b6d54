# file: buffer/aged.c
# test: sink/test_held_out a_wipe_that_was_cut_off_is_resumed
# A slot that somebody died in overwriting is overwritten to its end.
s/: !is_half_clear\(a, slot\)/: 1/
