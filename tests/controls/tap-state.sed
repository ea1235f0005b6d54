# file: tap/calls_memory.c
# test: e2e/test_tap each_change_begins_a_sequence
# A slot into which a state was loaded begins another sequence.
s/if \(c\) slots_load\(&c->slots, slot\);/(void)c, (void)slot;/
