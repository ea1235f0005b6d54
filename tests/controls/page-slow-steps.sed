# file: broker/page/status.js
# test: e2e/test_dashboard the_silent_have_no_points
# While a step takes long, the page draws the last mean on.
s/is_more \|\| is_at_it \?/is_more ?/
