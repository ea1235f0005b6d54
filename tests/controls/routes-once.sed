# file: broker/routes.c
# test: broker/test_routes frames_go_on_once
# A frame goes on once, unless the sink asks for it again.
s/else if \(h\.number <= l->sent\)/else if (0)/
