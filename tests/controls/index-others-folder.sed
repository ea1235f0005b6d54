# file: inspect/survey_folder.c
# test: inspect/test_survey what_is_no_index_is_left_alone
# A folder that holds something else is refused.
s/if \(!is_known\(name\)\)/if (0)/
