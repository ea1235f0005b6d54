# file: cli/targets.c
# test: cli/test_targets who_is_dead_stays_and_who_is_done_goes
# A run that died leaves its processes in the file, so that they are missed.
s/t->path && is_over && /t->path \&\& /
