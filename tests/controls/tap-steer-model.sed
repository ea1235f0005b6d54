# file: tap/tap.c
# test: tap/test_context another_model_is_not_steered
# Another model than the one that was steered is not.
s/^    if \(s->is_checked && strcmp\(s->model_file, tap.model_file\) != 0\)/    if (0)/
