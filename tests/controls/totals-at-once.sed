# file: trainer/opening.c
# test: e2e/test_resume what_was_trained_is_told_at_once
# What earlier lives counted is told before the first step of this one.
s/if \(result == ERR_OK\) training_show_totals\(t\);//
