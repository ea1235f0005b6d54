# file: trainer/finishing.c
# test: e2e/test_finish kills_change_nothing
# A decay that was set goes on where it was, in the next life too.
s/int result = finish_answer_read\([^;]*;/int result = ERR_NOTFOUND;/
