# file: browse/door.c
# test: browse/test_door only_for_this_host
# A name that somebody points at 127.0.0.1 is not ours.
s/if \(!is_our_host\(door, visit->host\)\) return DOOR_SHUT;//
