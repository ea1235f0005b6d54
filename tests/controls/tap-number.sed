# file: base/held.c
# test: tap/test_control numbers_that_are_the_program_s_are_left_alone
# A number that is another file's by now is not closed.
s/if \(held_is\(h\)\) close/close/
