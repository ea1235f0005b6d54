# file: client/rows.c
# test: client/test_client a_low_rate_lets_a_row_through_now_and_then
# A burst is one row at least.
s/burst = interval > second \? interval : second;/burst = second;/
