/*
 * Checkpoints: one file of named sections, written whole or not at all, every byte of it under a
 * checksum. It knows nothing of what the sections hold.
 *
 * DIR/checkpoint-STEP.sluice, STEP in 16 decimal digits. Little-endian, everything on 64 bytes:
 *   header   64 bytes: "SLUICECK", u32 version (1), u32 0, u64 step, 32 bytes 0, u64 XXH3-64 of the
 *            56 bytes before it
 *   section  64 bytes: name (40, NUL-padded), u64 bytes of data, u64 XXH3-64 of the data, u64
 *            XXH3-64 of the 56 bytes before it; then the data, then 0 up to 64
 *   end      a section header with an empty name, the size of the whole file as its bytes, and as
 *            the hash of its data the XXH3-64 of all section headers' last words in order
 */
#ifndef SLUICE_SAE_CHECKPOINT_H
#define SLUICE_SAE_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

enum { CHECKPOINT_NAME_BYTES = 40, CHECKPOINT_MAX_SECTIONS = 4096 };

struct checkpoint;
struct checkpoint_writer;

/* Begin the checkpoint of a step in a folder that exists. ERR_IO, ERR_NOSPC, ERR_NOMEM. The caller
 * ends with checkpoint_commit() or checkpoint_abort(). */
int checkpoint_begin(const char *dir, uint64_t step, struct checkpoint_writer **writer);

/* Append a section; its name is unique in the file, 1 to 39 bytes. The data is written as it lies,
 * without a copy, and may be changed once this returns. ERR_LIMIT, ERR_EXISTS (a bad name, one
 * taken, too many), ERR_IO, ERR_NOSPC; the first failure is kept and the commit returns it too. */
int checkpoint_put(struct checkpoint_writer *writer, const char *name, const void *data,
                   size_t bytes);

/* Make it durable (fsync, rename, fsync of the folder) and then remove all but the newest `keep`
 * (1 or more) of the folder, those of higher steps, which a run that goes on from an older one has
 * left behind, and temporary files of writers that died. Frees `writer`. On failure (ERR_IO,
 * ERR_NOSPC, or of an earlier put) the folder is as it was. Blocks on the disk. One writer a
 * folder. */
int checkpoint_commit(struct checkpoint_writer *writer, unsigned keep);
void checkpoint_abort(struct checkpoint_writer *writer);

/* Open one file and verify every byte. ERR_NOTFOUND, ERR_IO, ERR_NOMEM, ERR_FORMAT, ERR_CHECKSUM,
 * ERR_VERSION. The caller closes it. */
int checkpoint_open(const char *path, struct checkpoint **checkpoint);

/* Open the newest intact one of a folder. *damaged = newer ones that are not, and err_text() then
 * says what is wrong with the first of them. ERR_NOTFOUND: no folder, or none in it; ERR_CORRUPT:
 * there are some, none intact: the text has the folder, and the name and fault of each (three at
 * most), and leaves the hint to the caller. A file of another version is an error (ERR_VERSION),
 * not damage. */
int checkpoint_newest(const char *dir, struct checkpoint **checkpoint, unsigned *damaged);
void checkpoint_close(struct checkpoint *checkpoint);

uint64_t checkpoint_step(const struct checkpoint *checkpoint);
const char *checkpoint_path(const struct checkpoint *checkpoint);

/* A section's data, on 64 bytes, until the checkpoint is closed. ERR_NOTFOUND: the text leaves it
 * to the caller to name the file. */
int checkpoint_find(const struct checkpoint *checkpoint, const char *name, const void **data,
                    size_t *bytes);
size_t checkpoint_sections(const struct checkpoint *checkpoint);
const char *checkpoint_section(const struct checkpoint *checkpoint, size_t i);

/* Verify bytes in memory (on 8 bytes, outliving the checkpoint): what checkpoint_open() does with a
 * file's. */
int checkpoint_parse(const void *data, size_t bytes, struct checkpoint **checkpoint);

#endif
