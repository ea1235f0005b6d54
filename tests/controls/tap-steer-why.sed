# file: tap/graph.c
# test: tap/test_graph why_a_pass_is_not_steered_is_told
# Why nothing is steered is told as it is.
s/^    if \(!g->unsteered\[0\]\) snprintf.*$/    (void)g;/
