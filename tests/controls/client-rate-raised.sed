# file: client/rows.c
# test: client/test_client a_low_rate_lets_a_row_through_now_and_then
# A rate that is raised holds at once, whatever the time of the next row was.
s/if \(from > now \+ burst\) from = now \+ burst;/if (from > now + burst) return 0;/
