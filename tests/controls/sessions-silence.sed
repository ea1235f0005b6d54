# file: sink/sessions.c
# test: sink/test_sessions silence
# A producer that says nothing loses its session, and its credit goes back.
s/now_ns > s->session\[i\]\.heard_ns \+ silence_ns/0/
