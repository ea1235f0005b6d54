# file: tap/context.c
# test: e2e/test_tap other_contexts_are_left_alone
# Contexts for embeddings are left alone.
s/return !params->embeddings && /return /
