# file: inspect/index.c
# test: inspect/test_index what_is_changed_is_told
# A changed table is told by its hash.
s/else if \(fingerprint_add\(0, \*data, size\) != hash\)/else if (0)/
