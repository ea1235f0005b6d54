# file: tap/context.c
# test: e2e/test_tap_steer it_is_changed_while_the_program_runs
# Sequences with a steered token are left out of the stream.
s/if \(!keeps_steered && slots_is_noted/if (0 \&\& slots_is_noted/
