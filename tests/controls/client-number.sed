# file: base/held.c
# test: client/test_client a_number_that_is_the_program_s_is_left_alone
# A number that is another file's by now is not closed.
s/if \(held_is\(h\)\) close/close/
