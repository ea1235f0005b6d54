# file: buffer/scrub.c
# test: buffer/test_scrub at_the_end_pages_are_given_back
# At the end pages are not written, which would take longer than a drain may.
s/s->gives_back = 1;/s->gives_back = 0;/
