# file: inspect/choice.c
# test: inspect/test_choice the_rule_is_kept
# No word twice.
s/if \(!is_new\) continue;//
