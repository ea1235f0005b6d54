# file: client/library.c
# test: client/test_client a_forked_child_writes_nothing
# A child that was forked changes nothing of its parent's stream.
s/if \(!stream_is_ours\(s\)\) return SLUICE_OK;/if (!s) return SLUICE_OK;/
