# file: broker/history.c
# test: broker/test_history a_disk_that_is_full
# All of the history is written once a minute at most.
s/\|\| now_ns < h->again_ns\)/)/
