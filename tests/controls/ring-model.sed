# file: engine/ring_judge.c
# test: e2e/test_rings rows_of_another_kind_are_refused
# Rows of another model are refused.
s/hash == j->info->model_hash\) return/hash != 0) return/
