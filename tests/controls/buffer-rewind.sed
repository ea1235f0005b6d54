# file: buffer/coverage.c
# test: buffer/test_coverage a_producer_goes_back_to_what_is_lacking
# A slab that a consumer needs and the buffer lacks is made again.
/^static int lacks/,/^}/s/return 1;/return 0;/
