# file: client/place.c
# test: client/test_client what_a_dead_program_left_is_removed_by_the_next
# The next program of a stream removes what a dead one left.
s/^    sweep\(.*//
