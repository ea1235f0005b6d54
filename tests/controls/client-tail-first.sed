# file: client/rows.c
# test: client/test_client no_row_is_shed_for_what_others_do
# The reader is never past a head that was read after it.
s/uint64_t read = atomic_load_explicit\(tail, memory_order_acquire\);/uint64_t then = atomic_load(head), read = atomic_load_explicit(tail, memory_order_acquire);/
s/\*first = atomic_load_explicit\(head, memory_order_acquire\);/*first = then;/
s/if \(rows < n && .*continue;//
