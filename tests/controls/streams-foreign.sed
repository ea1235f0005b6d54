# file: cli/streams.c
# test: cli/test_streams only_our_own_are_found
# A folder that is marked as another stream's is passed over.
s/^        strcmp\(owner\.stream, name\) != 0\)$/        0)/
