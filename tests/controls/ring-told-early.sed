# file: engine/ring.c
# test: e2e/test_rings what_was_shed_is_told_once
# Shed rows are marked as told when the stream has counted them, no sooner.
s/^    r->map\[i\]\.told_shed = shed;/    r->map[i].told_shed = shed, atomic_store(\&ring->reader.told_shed, shed);/
