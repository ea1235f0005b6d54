# file: tap/control.c
# test: tap/test_control numbers_that_are_the_program_s_are_left_alone
# Nobody who waits at a socket of the program's is taken from it.
s/ \|\| !held_is\(&control.listener\)//
