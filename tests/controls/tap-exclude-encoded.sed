# file: tap/context.c
# test: tap/test_context a_text_in_a_batch_that_was_not_kept_is_kept_out
# A prompt that goes to an encoder is not looked at.
s/ \|\| \(c->has_encoder && c->turn.marker.text\[0\]\)//
