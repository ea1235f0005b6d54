# file: browse/door.c
# test: browse/test_door not_for_pages_of_others
# What changes something has to tell its origin.
s/: changes\) return DOOR_SHUT/: 0) return DOOR_SHUT/
