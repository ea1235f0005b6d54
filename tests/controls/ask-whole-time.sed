# file: runtime/ask.c
# test: e2e/test_progress
# Each question to the broker has its whole time.
/uv_update_time/d
