# file: inspect/appended.c
# test: inspect/test_survey killed_at_random_it_ends_the_same
# What was written after the last state is cut off.
s/ftruncate\(fd, \(off_t\)bytes\) != 0 \|\| //
