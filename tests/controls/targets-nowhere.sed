# file: cli/targets.c
# test: cli/test_targets who_is_dead_stays_and_who_is_done_goes
# A process that is to be started again has no port: what was its own may be another's by now.
s/if \(child->phase != CHILD_RUNNING\) return;//
