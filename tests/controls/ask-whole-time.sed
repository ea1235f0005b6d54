# file: runtime/ask.c
# test: runtime/test_ask each_question_has_its_time
# Each question to the broker has its whole time.
/uv_update_time/d
