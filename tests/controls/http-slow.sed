# file: runtime/http.c
# test: runtime/test_http test_slow_connections
# Who sends a byte now and then is ended.
s/^    http_visits_end_slow\(.*$//
