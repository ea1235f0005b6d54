# file: client/sweep.c
# test: client/test_client what_is_no_dead_program_s_stays
# The ring of a program that lives stays.
s/ring_is_over\(fd, &h->facts, h\)/1/
