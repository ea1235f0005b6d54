# file: broker/page/page.js
# test: e2e/test_dashboard a_clock_may_be_set
# Where a clock was set, what was is read anew.
s/if \(!is_in_order \|\| /if (/
