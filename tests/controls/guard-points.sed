# file: broker/guard.c
# test: broker/test_guard a_flood_ends
# A peer that has no points left floods.
s/if \(p->points < cost\) return 0;//
