# file: tap/graph.c
# test: tap/test_graph a_pass_of_strange_tokens_is_steered
# A pass is steered whatever comes of its capture.
s/^    if \(!g->n\) return 0;/    if (!g->n || g->result != ERR_OK) return 0;/
