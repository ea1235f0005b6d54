# file: proto/lines.c
# test: proto/test_lines what_has_no_room_is_told
# A text ends with its room.
s/out->is_full \|\| count > out->room - out->bytes/0/
