# file: trainer/curves.c
# test: trainer/test_curves a_full_disk_is_told_once_and_counted
# A disk that takes nothing is told once.
s/if \(!c->told_failure\)//
