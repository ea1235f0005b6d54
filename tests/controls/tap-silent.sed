# file: tap/control.c
# test: tap/test_control the_silent_are_not_waited_for
# Who connects and is silent keeps others out for two seconds at most.
s/int n = left > 0 \? poll\(polled, 2, \(int\)left\) : 0;/int n = poll(polled, 2, -1);/
