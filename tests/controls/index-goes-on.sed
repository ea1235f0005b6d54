# file: inspect/gather.c
# test: inspect/test_survey killed_at_random_it_ends_the_same
# Rows go on at the state's cursor.
s/g->state->rows \? engine_seek\(engine, &g->state->cursor\) : ERR_OK/ERR_OK/
