# file: sink/sessions.c
# test: sink/test_sessions order
# Frames of a producer are taken strictly in order.
s/return number > one->expected \? SESSIONS_GAP : SESSIONS_TAKE;/return SESSIONS_TAKE;/
