# file: inspect/index.c
# test: inspect/test_index sheets_are_looked_at
# A sheet has what it should before anybody reads it.
s/ \|\| !sheet_check\(o, feature, facts->features\)//
