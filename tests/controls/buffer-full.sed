# file: buffer/store.c
# test: buffer/test_store a_full_buffer_takes_no_more_until_some_is_freed
# A full buffer takes no more.
s/if \(result == ERR_OK\) result = check_room\(s\);//
