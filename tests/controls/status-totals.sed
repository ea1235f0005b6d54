# file: broker/status.c
# test: broker/test_status totals_hold_on
# What a process that is gone counted holds on.
s/if \(r->name\[0\]\) overview_add/if (!is_gone(r, now_ns)) overview_add/
