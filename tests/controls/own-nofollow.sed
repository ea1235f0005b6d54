# file: base/own.c
# test: base/test_own no_link_is_opened
# What lies in a run's folder is opened without following a link.
s/flags \| O_NOFOLLOW \| O_NONBLOCK/flags | O_NONBLOCK/
