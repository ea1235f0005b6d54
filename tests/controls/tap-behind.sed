# file: tap/graph.c
# test: tap/test_context rows_are_changed_behind_the_capture
# Rows are captured before they are steered.
s/^    for \(uint32_t h = 0; taking\(g\) && g->is_matched/    if (is_steered(g, t)) steer(g, t);\n&/
