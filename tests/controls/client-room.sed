# file: client/rows.c
# test: client/test_client what_finds_no_room_is_shed
# No place is taken that was not read.
s/room = used < records \? records - used : 0;/room = n + 0 * used;/
