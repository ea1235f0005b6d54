# file: broker/status.c
# test: broker/test_movement a_stopped_trainer_is_told
# The document says that the stream stands still.
s/status_moves\(s, now_ns\) == ERR_OK \? NULL : err_text\(\)/NULL/
