# file: cli/live.c
# test: e2e/test_check_live an_end_is_no_fault
# The broker of a run that is over is not waited for.
s/ && !is_over\(config\)\);$/);/
