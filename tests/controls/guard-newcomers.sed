# file: broker/guard.c
# test: broker/test_guard who_comes_back_begins_with_little
# Who was shut and comes back as somebody new may not say as much again.
s/if \(pot->left < 1\) return 0/if (0) return 0/
