# file: tap/graph.c
# test: tap/test_context a_pass_that_fails_teaches_nothing
# What a pass that failed has shown of the model's graph is not believed.
s/if \(g->mode == GRAPH_LEARN && !is_good\) outlet_unlearn\(g->outlet\);//
