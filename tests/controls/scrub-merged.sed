# file: buffer/scrub.c
# test: buffer/test_scrub what_comes_to_nothing_hides_no_freed_rows
# Of two debts that become one, the later transaction counts.
s/if \(s->debt\[1\]\.txn < s->debt\[0\]\.txn\)/if (0)/
