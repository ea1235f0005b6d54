# file: tap/tap.c
# test: tap/test_context both_limits_hold
# A limit in bytes holds when something else is set.
s/sizeof set, s->on, s->share, rate_of\(s\)\};/sizeof set, s->on, s->share, 0 * rate_of(s) + s->rows_per_second};/
