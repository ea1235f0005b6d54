# file: engine/ring_map.c
# test: e2e/test_rings a_program_that_dies_leaves_nothing
# Places that a program died over do not hold up those behind them.
s/^    for \(; tail < head && !is_published\(m, tail\); tail\+\+\) \{/    for (; 0 \&\& tail < head; tail++) {/
