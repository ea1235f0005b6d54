# file: broker/grid.c
# test: broker/test_history three_resolutions
# A look over the end of the records goes on at their beginning.
s/place \+ 1 == records \? 0 : place \+ 1/place + 1/
