# file: tap/graph.c
# test: tap/test_graph a_pass_that_the_program_stops_is_no_other_model
# A program that stops its pass is no model without the node.
s/g->is_stopped \|\| g->steered_ubatches/g->steered_ubatches/
