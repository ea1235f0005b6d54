# file: tap/context.c
# test: e2e/test_tap embeddings_are_no_tokens
# Of a pass of embeddings nothing is taken, and it is counted.
s/if \(embeddings && sluice_is_on/if (0 \&\& sluice_is_on/
