# file: tap/control.c
# test: tap/test_control numbers_that_are_the_program_s_are_left_alone
# No word goes into a socket of the program's.
s/if \(held_is\(&control.wake\[1\]\)\) send/send/
