# file: inspect/survey_folder.c
# test: inspect/test_survey anothers_index_is_left_alone
# An index of another SAE, corpus or other options is refused.
s/if \(!what\) return ERR_OK;/return ERR_OK;/
