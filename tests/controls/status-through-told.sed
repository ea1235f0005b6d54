# file: broker/status.c
# test: broker/test_status a_crowd_of_captures_has_rates
# Who was through is told of each, also where its report found no room.
s/is_over\(r\) \? "true" : "false"/is_whole \&\& is_over(r) ? "true" : "false"/
