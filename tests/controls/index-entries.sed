# file: inspect/index.c
# test: inspect/test_index entries_are_bounded
# A sheet lies where the one before it ends.
s/entry->offset != at \|\| //
