# file: buffer/scrub.c
# test: buffer/test_scrub what_comes_to_nothing_hides_no_freed_rows
# Another commit is asked for whatever came behind the one that freed rows.
/static int owes_last/,/^}/ s/size_t i = 0;/size_t i = s->debts ? s->debts - 1 : 0;/
