# file: broker/errors.c
# test: broker/test_errors one_does_not_crowd_out_others
# A process that fails all the time leaves the errors of others.
s/its >= ERRORS_OF_ONE \? own : oldest/oldest/
