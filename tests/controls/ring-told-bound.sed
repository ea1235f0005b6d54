# file: engine/ring.c
# test: e2e/test_rings an_epoch_that_is_none_is_not_believed
# A ring that tells more than it shed takes nothing off.
s/ \|\| shed <= told\) return;/) return;/
