# file: engine/ring.c
# test: e2e/test_rings what_is_refused_is_wiped_and_removed
# What a refused program shed is none of the stream's.
s/if \(r->map\[i\].is_refused \|\| shed <= told\) return;/if (shed <= told) return;/
