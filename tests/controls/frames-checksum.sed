# file: proto/frame.c
# test: proto/test_frame every_bit_flip_is_refused
# A payload is held to its checksum.
s/if \(XXH3_64bits\(payload, size\) != h->packed_hash\)/if (0)/
