# file: tap/graph.c
# test: e2e/test_tap its_own_callback_sees_what_it_saw
# The program's own callback is asked as without the tap.
s/g->other_wants = g->other && .*/g->other_wants = false;/
