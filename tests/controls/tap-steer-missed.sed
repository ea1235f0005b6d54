# file: tap/slots.c
# test: tap/test_context what_cannot_be_told_is_not_steered_and_counted
# What lies over tokens that were not steered is of another setting.
/^void slots_miss/,/^}/s/s->slot\[i\].highest \+ 1\)/SLOT_NOWHERE)/
