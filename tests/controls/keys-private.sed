# file: runtime/keys.c
# test: runtime/test_keys no_key_that_others_may_have
# A secret key that others may read is not used.
s/else if \(st\.st_mode & forbidden\)/else if (0)/
