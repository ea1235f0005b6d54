# file: tap/ubatch.c
# test: tap/test_ubatch passes_do_not_mix
# What one pass submitted is forgotten with the next.
s/if \(s->entry\[i\]\.place\) \*s->entry\[i\]\.place = 0;/;/
