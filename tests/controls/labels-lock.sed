# file: inspect/labels.c
# test: inspect/test_index none_is_lost_of_many_hands
# One hand at a time.
s/flock\(fd, LOCK_EX\)/0/
