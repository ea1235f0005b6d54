/* The folder that an index is made in: whether it is one, whose, and how far it is. */
#ifndef SLUICE_INSPECT_SURVEY_FOLDER_H
#define SLUICE_INSPECT_SURVEY_FOLDER_H

#include "inspect/survey_state.h"

/* `state` says what is to be made; where some of it is there, it comes back with how far that is.
 * Writes the path of the working files, work[INDEX_PATH_BYTES], and *lock, which the caller closes at
 * the end. *was_there = 1: the index is finished, nothing is locked. ERR_USAGE: the folder is another's
 * or holds something else; ERR_MISMATCH, ERR_EXISTS, ERR_CORRUPT as survey_make(); ERR_IO,
 * ERR_NOSPC. */
int survey_folder_open(const char *folder, struct survey_state *state, int *was_there, char *work,
                       int *lock);

#endif
