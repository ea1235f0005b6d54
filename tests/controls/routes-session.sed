# file: broker/routes.c
# test: broker/test_routes only_in_the_session
# What belongs to a session that is over is not forwarded.
s/l->session && l->session == about->session && l->stream == about->stream/l->stream == about->stream/
