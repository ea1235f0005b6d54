# file: tap/tell.c
# test: tap/test_tell a_pipe_that_nobody_reads_ends_no_program
# The tap writes into no pipe that nobody reads.
s/polled.revents == POLLOUT/polled.revents \& POLLOUT/
