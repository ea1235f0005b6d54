# file: tap/context.c
# test: tap/test_context a_word_in_a_shared_token_keeps_both_out
# The word is looked for in the text of each slot that shares a token.
s/submit\(c, token, at, b->seq_id\[i\]\[k\]\)/submit(c, -1, at, b->seq_id[i][k])/
