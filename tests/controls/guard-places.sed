# file: broker/guard.c
# test: broker/test_guard floods_push_out_each_other
# Floods push out each other, and nobody who keeps to the protocol.
s/if \(a->floods != b->floods\) return a->floods/if (0) return 0/
