# file: cli/roster.c
# test: cli/test_live all_is_well
# Who was through, as the broker says, is not called silent.
s/json_is_true\(json_object_get\(process, "is_through"\)\) \|\|//
