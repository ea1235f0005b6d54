# file: sink/keeper.c
# test: sink/test_desk what_expired_before_a_failure_is_counted
# Slabs that a failure left there are not counted as replaced.
s/l->replaced_slabs -= replaced;/(void)replaced;/
