# file: broker/curves.c
# test: broker/test_curves slowest_steps_have_no_gaps
# While a step takes longer than a value holds, the last one goes on.
s/phase_of_trainer\(n->report\) == PHASE_TRAINING/0/
