# file: runtime/link.c
# test: runtime/test_link test_nothing_is_said_to_others
# Nobody connects to a socket in a folder that others have.
s/int mine = path \? claim_folder\(path\) : ERR_OK;/int mine = ERR_OK;/
