/*
 * Sheets of features, made by the subject's threads, NEIGHBOURS_BLOCK at a time.
 *
 * Holds: a sheet depends on the records and the SAE alone, not on the threads, nor on where the making
 * was taken up again: blocks begin at multiples of NEIGHBOURS_BLOCK.
 */
#ifndef SLUICE_INSPECT_SHEETS_H
#define SLUICE_INSPECT_SHEETS_H

#include "inspect/index_writer.h"
#include "inspect/promotes.h"
#include "inspect/sorter.h"
#include "inspect/subject.h"

struct sheets;

/* Everything is lent; promoter NULL: no promoted tokens are told. Takes 4 bytes for each feature 64 + 2 threads times. ERR_NOMEM, and errors of
 * blas_open(). On success the caller ends with sheets_close(). */
int sheets_open(const struct subject *subject, const struct record_view *view,
                const struct sorted *sorted, uint64_t kept_rows, const struct promoter *promoter,
                struct sheets **sheets);
void sheets_close(struct sheets *sheets);

/* Make the next block, from writer->features on, and add it. ERR_NOMEM, errors of
 * index_writer_add() and promotes_make(). */
int sheets_add(struct sheets *sheets, struct index_writer *writer);

#endif
