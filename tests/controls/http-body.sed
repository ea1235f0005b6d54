# file: runtime/http.c
# test: runtime/test_http test_bodies
# A body is bounded.
s/u->is_too_long = 1;/u->is_too_long = 0;/
