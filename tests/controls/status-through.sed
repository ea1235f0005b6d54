# file: broker/status.c
# test: broker/test_status who_was_through_is_shown_on
# Who was through with its work is shown for as long as the broker knows of it.
s/!is_over\(r\) && now_ns/now_ns/
