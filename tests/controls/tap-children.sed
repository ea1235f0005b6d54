# file: tap/environment.c
# test: tap/test_environment children_see_none_of_it
# Children of the program are not tapped.
s/^    take_out\(\"LD_PRELOAD\".*//
