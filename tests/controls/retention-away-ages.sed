# file: buffer/aged.c
# test: sink/test_held_out what_is_too_old_is_overwritten
# Of a trainer that is away only what is too old goes.
s/head\.captured_ns >= oldest_ns : !is_half/0 : !is_half/
