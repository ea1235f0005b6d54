# file: sae/checkpoint.c
# test: sae/test_checkpoint every_truncation_and_bit_flip_is_refused
# A checkpoint with a flipped bit in its data is refused.
s/XXH3_64bits\(data \+ at, header->bytes\) != header->data_hash/0/
