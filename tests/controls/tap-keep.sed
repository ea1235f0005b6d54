# file: tap/slots.c
# test: tap/test_slots all_but_one_are_cleared
# Slots that were cleared as they are not the one that is kept begin other sequences.
s/if \(\(uint32_t\)slot != i\) slots_clear/if (slot < -9) slots_clear/
