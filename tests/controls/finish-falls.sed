# file: trainer/training.c
# test: e2e/test_finish the_rate_falls
# The learning rate falls.
s/^    finishing_slow\(t\);//
