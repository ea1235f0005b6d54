# file: inspect/sheet.c
# test: inspect/test_index sheets_are_looked_at
# Promoted tokens are what they should be before anybody reads them.
/^static int check_promoted/,/^}/s/return 0;/;/
