# file: cli/live.c
# test: cli/test_live who_cannot_work_is_told
# A trainer that waits for rows is no fault of its own.
s/ \|\| waits_by_design\(e\)//
