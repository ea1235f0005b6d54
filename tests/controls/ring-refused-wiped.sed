# file: engine/ring.c
# test: e2e/test_rings what_is_refused_is_wiped_and_removed
# Rows of a refused program do not stay in shared memory.
s/^        if \(r->map\[i\].is_refused\) ring_map_wipe.*//
