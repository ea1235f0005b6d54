# file: tap/context.c
# test: tap/test_context what_cannot_be_told_is_not_steered_and_counted
# What is not steered is not noted as steered.
s/= c->is_told \? c->turn.steering : NULL;/= c->turn.steering;/
