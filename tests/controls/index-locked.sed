# file: inspect/survey_folder.c
# test: inspect/test_survey two_do_not_make_one
# Two processes do not make one index.
s/result = file_lock\(path, lock\);/&\n    if (result == ERR_EXISTS) return *lock = dup(0), ERR_OK;/
