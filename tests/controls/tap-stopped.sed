# file: tap/graph.c
# test: e2e/test_tap a_pass_that_is_stopped_gives_no_row
# Rows of a pass without all hooks are given up.
s/is_good && g->result == ERR_OK && !g->is_short/is_good/
