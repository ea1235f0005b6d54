# file: engine/ring.c
# test: e2e/test_rings an_epoch_that_is_none_is_not_believed
# An epoch that no reader gives is not believed.
s/ \|\| had >> EPOCH_BITS//
