# file: trainer/finishing.c
# test: e2e/test_finish the_end_of_the_stream_is_waited_for
# A trainer that is through waits for the end of the stream, and knows all that was stored.
s/\*settled = result == ERR_NOTFOUND.*/*settled = 1;/
