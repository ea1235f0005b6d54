# file: engine/ring.c
# test: e2e/test_rings what_was_shed_is_told_once
# What a program shed is told once, whoever reads.
s/^        atomic_store\(&r->map\[i\]\.ring->reader\.told_shed, .*;/        (void)0;/
