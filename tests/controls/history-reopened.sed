# file: broker/history.c
# test: broker/test_history a_lock_that_is_let_go
# A file that could not be opened is opened later.
s/if \(h->fd < 0 \&\& open_again\(h\) != ERR_OK\) return;/if (h->fd < 0 \&\& (now_ns || open_again(h) != ERR_OK)) return;/
