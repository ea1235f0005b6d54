# file: browse/door.c
# test: browse/test_door the_cookie_lets_in
# The whole token has to be right.
s/return different == 0;/return 1;/
