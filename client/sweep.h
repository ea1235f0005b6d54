/*
 * Rings of programs that are no more, removed by the next program of their stream: without a reader
 * nobody else does. One with a row in it stays for a reader, however old: rows are dropped by a limit
 * that somebody chose, and libsluice knows of none.
 */
#ifndef SLUICE_CLIENT_SWEEP_H
#define SLUICE_CLIENT_SWEEP_H

/* Remove from a folder of rings what dead programs left there and no reader wants: rings without a row,
 * and files that were not yet rings. Says nothing; what it cannot judge stays. */
void sweep(const char *folder);

#endif
