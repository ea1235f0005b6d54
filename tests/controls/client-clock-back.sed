# file: client/rows.c
# test: client/test_client a_clock_that_is_set_back_keeps_nobody_waiting
# A reader that was seen in the future is not there.
s/away = seen < now \? now - seen : seen - now;/away = seen < now ? now - seen : 0;/
