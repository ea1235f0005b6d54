# file: tap/context.c
# test: tap/test_context a_text_from_before_the_word_is_kept_out
# What was cached before the word was set may have it.
s/^           !slots_is_read\(&c->slots, slot, c->turn.marker.number\);/           0;/
