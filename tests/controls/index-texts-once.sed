# file: inspect/portrait.c
# test: inspect/test_index a_text_is_told_once
# The same text in several sequences is one context.
s/if \(seen->text\[i\] == text\) return 0;/;/
