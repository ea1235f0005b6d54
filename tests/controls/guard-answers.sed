# file: broker/guard.c
# test: broker/test_guard answers_cost
# What was answered is paid for as what was asked.
s/heard\(g, route, now_ns\)->points -= .*;/heard(g, route, now_ns); (void)bytes;/
