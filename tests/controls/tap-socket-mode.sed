# file: tap/control.c
# test: tap/test_control it_is_the_user_s_alone
# The socket is 0600, whatever the program's umask.
s/chmod\(new\.sun_path, 0600\) != 0 \|\| //
