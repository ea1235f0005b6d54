# file: broker/status.c
# test: broker/test_status one_name_for_each_connection
# A connection reports under one name.
s/if \(from && has_other_name\(s, from, name, now_ns\)\)/if (0)/
