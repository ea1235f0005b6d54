# file: tap/slots.c
# test: tap/test_slots a_copy_begins_anew_where_it_goes
# A slot that another one was copied to begins another sequence.
s/^    slots_renew\(s, target\);/    if (target < -9) slots_renew(s, target);/
