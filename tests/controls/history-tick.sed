# file: broker/grid.c
# test: broker/test_history three_resolutions
# A record of another time is no value.
s/r->tick != first \+ i \|\| //
