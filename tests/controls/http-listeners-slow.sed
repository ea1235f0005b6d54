# file: runtime/http_stream.c
# test: runtime/test_http test_slow_listener
# Who takes a document by a few bytes now and then is ended.
s/http_visits_set\(l->visit, VISIT_ANSWERED, uv_now\(.*$/;/
