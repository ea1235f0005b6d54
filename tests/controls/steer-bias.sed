# file: inspect/steer_table.c
# test: e2e/test_steer_table rows_are_changed_as_by_the_sae
# What is taken off a row before it is encoded is in the bias.
s/for \(uint32_t i = 0; e->subtracts && /for (uint32_t i = 0; 0 \&\& /
