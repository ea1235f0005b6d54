# file: client/stream.c
# test: e2e/test_rings a_ring_stays_until_what_it_shed_is_counted
# A program that closes its ring leaves it where what it shed is not counted.
s/^           ring_shed_is_told\(ring\);/           ring != NULL;/
