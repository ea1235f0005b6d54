# file: tap/tap.c
# test: e2e/test_tap other_contexts_are_left_alone
# Contexts of other models are left alone.
s/turn->is_chosen = tap\.model == model;/turn->is_chosen = 1;/
