# file: engine/llama_lookup.c
# test: tap/test_graph a_table_may_be_a_copy
# Copies of a table are one table.
s/^    if \(begin == end\)/    if (begin != NULL || begin == end)/
