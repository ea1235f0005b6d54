# file: inspect/labels.c
# test: inspect/test_index labels_take_turns
# One hand at a time.
s/flock\(\*fd, LOCK_EX\) != 0/0/
