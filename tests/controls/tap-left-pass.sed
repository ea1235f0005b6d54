# file: tap/calls.c
# test: e2e/test_tap a_pass_that_is_left_gives_its_places_up
# A pass that an exception leaves is over.
s/ __attribute__\(\(cleanup\(end_pass\)\)\) = / __attribute__((unused)) = /
