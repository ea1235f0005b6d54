# file: engine/llama_capture.c
# test: engine/test_capture a_layer_looks_the_tokens_up_again
# A layer of a corpus run's model may look the tokens up again.
s/int tokens = llama_lookup_begins\(&c->lookup, t\),/int tokens = t->op == GGML_OP_GET_ROWS,/
