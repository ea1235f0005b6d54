# file: engine/llama_file.c
# test: engine/test_corpus a_model_that_has_to_be_read_is_told
# That a model's file is being read, which takes minutes, is told.
s/^    int is_told = watch .*/    int is_told = 0;/
