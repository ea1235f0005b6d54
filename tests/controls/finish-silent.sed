# file: capture/ending.c
# test: capture/test_ending who_is_silent_is_waited_for_half_a_minute
# A capture does not wait for ever for a trainer that is gone.
s/now_ns >= e->asked_ns \+ silence_ns/0/
