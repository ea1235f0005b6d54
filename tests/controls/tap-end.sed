# file: tap/tap.c
# test: e2e/test_tap an_end_closes_the_ring
# A program that ends with its model as it is closes the ring.
s/^    if \(!atomic_exchange\(&is_begun, 0\).*/    return;/
