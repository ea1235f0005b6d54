# file: broker/history_query.c
# test: broker/test_history questions_are_checked
# No question has an answer without bound.
s/if \(number > room\)/if (0)/
