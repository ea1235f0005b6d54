/*
 * Records that stay in an index when it is finished (`sluice inspect --keep-records`):
 * INDEX/records/rows and INDEX/records/fired, as records.h has them. They tell of every row where
 * it stood and all that fired at it, which the sheets do not.
 */
#ifndef SLUICE_INSPECT_KEPT_H
#define SLUICE_INSPECT_KEPT_H

#include "inspect/index.h"
#include "inspect/records.h"

/* Keep the records of FOLDER/work in FOLDER/records: the files get a second name, so that a survey
 * that is killed afterwards still goes on. ERR_NOSPC, ERR_IO: also where the disk knows no second
 * names. */
int kept_make(const char *folder, const char *work);
/* Whether the folder has them. */
int kept_is_there(const char *folder);
/* Map them: records_map(). ERR_USAGE: there are none; errors of records_map(). On success the caller
 * ends with records_unmap(). Reads it all. */
int kept_map(const struct index *index, struct record_view *view);

#endif
