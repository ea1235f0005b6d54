# file: tap/slots.c
# test: tap/test_slots a_middle_or_a_long_tail_leaves_one_that_is_not
# How a text ended is believed as long as it is kept.
s/ \|\| s->past\[last % SLOT_PAST\].position != last\)/)/
