# file: engine/ring_map.c
# test: e2e/test_rings a_copy_of_a_ring_is_left_unread
# A copy of a ring gives no row a second name.
s/^    if \(!has_its_name\(m\)\)/    if (!has_its_name(m) \&\& 0)/
