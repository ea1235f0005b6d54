# file: cli/live.c
# test: cli/test_live a_new_broker_misses_nobody_yet
# A broker whose clock is ahead is not a new one for ever.
s/return fabs\(\(double\)time\(NULL\) - started\)/return (double)time(NULL) - started/
