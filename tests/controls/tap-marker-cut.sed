# file: tap/slots.c
# test: tap/test_slots a_text_that_was_cut_may_end_in_anything
# The word may have begun in what is left of a text.
s/^    s->begun = MARKER_UNKNOWN;//
