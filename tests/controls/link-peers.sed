# file: runtime/link.c
# test: runtime/test_link test_connections_are_bounded
# One connection above the bound is ended.
s/if \(link->peers <= link->options\.max_peers\) return;/return;/
