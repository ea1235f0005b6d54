/*
 * How old the rows of a feature index may be that is made out of a buffer whose rows go by age
 * (base/rows_from.h): said in its folder before the first of them is read.
 */
#ifndef SLUICE_INSPECT_INDEX_AGE_H
#define SLUICE_INSPECT_INDEX_AGE_H

#include <stdint.h>

/* Make `folder` where it is not there, and mark it: of rows from half of age_seconds before now_seconds
 * (since 1970) on. One that is marked already, and is gone on with, keeps its mark. *from_seconds is
 * what the mark says. ERR_USAGE: the folder holds something, and no mark: what is in it was made of
 * something else, and would be removed for it; nothing is changed. ERR_FORMAT, ERR_IO, ERR_NOSPC. */
int index_age_mark(const char *folder, uint64_t now_seconds, uint64_t age_seconds,
                   uint64_t *from_seconds);

#endif
