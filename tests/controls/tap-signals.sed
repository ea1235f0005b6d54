# file: tap/control.c
# test: tap/test_control signals_are_the_program_s
# Signals of somebody's program are taken by its own threads.
s/pthread_sigmask\(SIG_SETMASK, &all, &before\);.*/sigemptyset(\&before);/
