# file: tap/graph.c
# test: tap/test_graph a_table_may_be_looked_up_twice
# A ubatch whose tokens are looked up twice is one.
s/^    if \(!g->n\) g->ubatches\+\+;/    g->ubatches++;/
