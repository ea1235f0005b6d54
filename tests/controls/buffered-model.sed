# file: inspect/buffered.c
# test: inspect/test_buffered what_does_not_fit_is_refused
# Rows of another model are refused.
s/if \(s->model_hash && s->model_hash != b->stream\.model_hash\)/if (0)/
