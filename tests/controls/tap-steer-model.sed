# file: tap/tap.c
# test: tap/test_context another_model_is_not_steered
# Another model than the one that was steered is not.
s/^    if \(s->is_checked && \(!tap.model_key.*/    if (0)/
