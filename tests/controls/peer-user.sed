# file: runtime/peer.c
# test: runtime/test_peer another_user_s_is_not
# Another user's program is not ours.
s/uid == getuid\(\) \|\| uid == 0/1/
