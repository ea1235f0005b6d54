# file: trainer/finishing.c
# test: e2e/test_finish who_is_through_waits_for_the_silent
# A trainer that is through waits longer than captures wait for one that does not answer.
s/settle_ns = UINT64_C\(45000000000\)/settle_ns = UINT64_C(10000000000)/
