# file: runtime/http_visits.c
# test: runtime/test_http test_crowd
# While places run short, who says nothing has a second.
s/if \(v->live < v->most - v->most \/ 4\) return/return/
