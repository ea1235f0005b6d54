# file: tap/tell.c
# test: e2e/test_tap hooks_that_cannot_be_are_told
# Why there is no tap is told once.
s/int is_first = !\*once;/int is_first = 1;/
