# file: tap/outlet.c
# test: tap/test_context a_models_key_is_of_what_was_loaded
# A model's key is of the file that was loaded, not of what is under its path now.
s/\.model_key = key,/.model_key = 0,/
