# file: engine/ring.c
# test: e2e/test_rings what_was_shed_in_between_is_told_once
# What is told to have been shed is what the ring says is told.
s/^    out->lost_rows = r->lost_rows;/    out->lost_rows = out->count[RING_SHED];/
