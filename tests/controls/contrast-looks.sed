# file: inspect/contrast.c
# test: inspect/test_contrast chance_is_not_taken_for_a_find
# Having looked at many features is paid for: a shuffle counts by its largest effect.
s/most >= fabs\(t->effect\[j\]\)/fabs(effect_of(t, j)) >= fabs(t->effect[j])/
