# file: engine/ring.c
# test: e2e/test_rings a_row_of_the_future_is_of_now
# A row does not stay for longer because its program says that it is of the future.
s/if \(r->captured_ns\[i\] > now\) /if (0 \&\& now) /
