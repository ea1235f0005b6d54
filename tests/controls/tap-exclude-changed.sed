# file: tap/tap.c
# test: tap/test_context a_text_from_before_the_word_is_kept_out
# What was read for another word was not read for this one.
s/tap.marker.number = \+\+tap.markers;/tap.marker.number = 1 + 0 * tap.markers;/
