# file: tap/graph.c
# test: tap/test_context a_pass_that_learns_is_steered_too
# A pass that learns is steered, too.
s/ \|\| \(g->mode == GRAPH_LEARN && g->steering\)//
