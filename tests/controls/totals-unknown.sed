# file: runtime/metrics.c
# test: runtime/test_metrics what_is_not_known_yet_is_not_shown
# A counter that is not known yet is not shown as one.
s/&& !\(m->kind == METRIC_COUNTER && isnan\(load\(s\)\)\)//
