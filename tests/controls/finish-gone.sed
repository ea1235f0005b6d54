# file: capture/ending.c
# test: capture/test_ending who_answered_and_is_gone_is_waited_for_half_a_minute
# A capture does not wait for ever for a trainer that needed rows and is gone.
s/now_ns >= e->heard_ns \+ silence_ns/0/
