# file: runtime/claim.c
# test: runtime/test_link test_locked_socket_is_not_taken
# A socket whose lock somebody holds is left to him, also before he answers at it.
s/^( +)result = file_lock\(file, lock\);/&\n    if (result == ERR_EXISTS) result = ERR_OK;/
