# file: broker/status.c
# test: broker/test_status two_at_once_are_no_rate
# Growth over a millisecond is no rate.
s/seconds < least_seconds/seconds < 0 * least_seconds/
