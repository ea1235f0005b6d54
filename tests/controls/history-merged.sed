# file: broker/history.c
# test: broker/test_history a_lock_that_is_let_go
# What is in memory goes into what the file held.
s/^    merge\(whole, h\);/    if (0) merge(whole, h);/
