# file: sink/sessions.c
# test: sink/test_sessions order
# A frame that is committed is acked again and not taken again.
s/if \(number < one->expected\) return SESSIONS_DUPLICATE;//
