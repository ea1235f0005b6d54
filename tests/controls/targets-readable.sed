# file: base/fileio.c
# test: cli/test_targets ports_are_those_of_today
# Prometheus is another user, and must be able to read where the processes are.
s/size, 0, 0644\)/size, 0, 0600)/
