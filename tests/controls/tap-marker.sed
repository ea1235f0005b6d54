# file: tap/marker.c
# test: tap/test_marker it_is_found_where_it_is
# The word is found over any cut of the text.
s/^    uint64_t before = begun << 1 \| 1/    uint64_t before = 1 \| 0 * begun/
