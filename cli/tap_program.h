/*
 * The program that `sluice tap` is to run: whether there is one, and whether what is put before it
 * (LD_PRELOAD, LD_AUDIT) is loaded into it. The system's loader ignores both for programs that run with
 * other rights than their caller's, and a program that is linked statically has no loader.
 */
#ifndef SLUICE_CLI_TAP_PROGRAM_H
#define SLUICE_CLI_TAP_PROGRAM_H

#include <stddef.h>

/* The file that execvp() would run, into path[bytes]. ERR_NOTFOUND: there is none; ERR_STATE: it may not
 * be run. */
int tap_program_find(const char *name, char *path, size_t bytes);

/* Whether it can be tapped, of a script its interpreter. ERR_USAGE: it cannot, and why. What cannot be
 * read is taken for one that can. Reads the beginning of the file. */
int tap_program_check(const char *path);

/* One of the tap's libraries, beside this program or in ../lib/sluice, into path[bytes]. ERR_NOTFOUND;
 * ERR_USAGE: its path has a character that divides lists of libraries. */
int tap_program_library(const char *name, char *path, size_t bytes);

#endif
