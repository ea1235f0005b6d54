# file: wiring/plan.c
# test: trainer/test_plan the_length_of_a_live_stream_is_no_plan
# A live stream has no plan.
s/ && !d->shed//
