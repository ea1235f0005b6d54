# file: client/rows.c
# test: client/test_client a_forked_child_writes_nothing
# A child that was forked writes nothing into its parent's ring.
s/if \(!stream_is_ours\(s\)\) return 0;/if (!s) return 0;/
