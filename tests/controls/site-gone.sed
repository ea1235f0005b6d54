# file: runtime/site.c
# test: runtime/test_process test_folder_gone
# A process whose folder was removed ends.
s/return p->missed >= LOOKS/return 0/
