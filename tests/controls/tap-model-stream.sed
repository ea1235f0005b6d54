# file: tap/tap.map
# test: e2e/test_tap a_model_out_of_an_open_file_is_known
# A model that is loaded out of an open file is known by that file.
s/^ *llama_model_load_from_file_ptr;//
