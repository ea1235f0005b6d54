# file: client/sweep.c
# test: client/test_client what_nobody_has_read_stays
# What was shed is told by a reader.
s/if \(!ring_shed_is_told\(h\) \|\| /if (/
