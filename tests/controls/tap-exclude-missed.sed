# file: tap/slots.c
# test: tap/test_context a_text_in_a_batch_that_was_not_kept_is_kept_out
# What was in a batch that nobody kept was not looked at.
/^void slots_miss/,/^}/s/^        s->slot\[i\].read_for = 0;//
