# file: broker/routes.c
# test: broker/test_routes hellos_wait_for_their_answer
# A HELLO waits for the answer to the last one.
s/if \(is_known && now_ns < l->hello_ns \+ again_ns\)/if (0)/
