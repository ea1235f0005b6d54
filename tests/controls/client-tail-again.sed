# file: client/rows.c
# test: client/test_client no_row_is_shed_for_what_others_do
# A ring seems full only where nothing was read meanwhile.
s/if \(rows < n && .*continue;//
