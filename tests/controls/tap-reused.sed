# file: tap/slots.c
# test: tap/test_slots what_is_found_in_the_cache_is_counted_once
# Tokens that a sequence finds in the cache are counted.
s/if \(own->sequence\) \*reused = .*/;/
