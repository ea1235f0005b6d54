# file: tap/context.c
# test: tap/test_context a_token_that_the_model_does_not_have_is_not_looked_at
# Of a token that the model does not have no text is asked for.
s/^    if \(token < 0 \|\| token >= library_get.*$/    if (token < 0) return 1;/
