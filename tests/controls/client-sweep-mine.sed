# file: client/sweep.c
# test: client/test_client what_is_no_dead_program_s_stays
# No lock of this process is lost by a look at its own rings.
s/if \(!is_mine\(entry->d_name\)\) look_at/if (!is_mine(entry->d_name) || 1) look_at/
