# file: sink/retention.c
# test: sink/test_desk readers_are_waited_for_at_the_end
# At the end readers are waited for: nobody overwrites what they are at later.
s/took_ns < clear_ns\)/took_ns < clear_ns \/ 400)/
