# file: cli/tap.c
# test: e2e/test_tap_steer a_program_that_does_not_begin_leaves_no_table
# What was written for a program that does not begin is removed.
s/^    remove_table\(\);//
