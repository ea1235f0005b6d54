/*
 * Decompression of a stream that comes in pieces: gzip, zstd, bzip2, xz, told by the first bytes.
 *
 * A packed file is one or more whole streams (gzip's members, zstd's frames) one behind another;
 * they are read as one. The memory that a stream asks for (its window or dictionary) is bounded.
 */
#ifndef SLUICE_ENGINE_UNPACK_H
#define SLUICE_ENGINE_UNPACK_H

#include <stddef.h>
#include <stdint.h>

enum { UNPACK_HEAD_BYTES = 18 }; /* what unpack_find() and unpack_open() need to see */

struct unpack_kind;
struct unpack;

/* The kind that begins with these bytes (all of the stream where it is shorter than
 * UNPACK_HEAD_BYTES); NULL: it is not packed. */
const struct unpack_kind *unpack_find(const unsigned char *head, size_t size);

/* `memory_bytes` bounds windows and dictionaries. ERR_NOMEM. The caller closes it. */
int unpack_open(const struct unpack_kind *kind, uint64_t memory_bytes, struct unpack **unpack);

/* Input is taken from in[0..*in_size) (the rest is to be given again, with more behind it), output
 * goes to out[0..*out_size); both sizes become what was used. `ended`: nothing comes after this
 * input. Neither being used means that more input is needed, or, at the end, that all was given.
 * ERR_FORMAT: damaged, cut off, or something else behind the packed data; ERR_LIMIT: a window
 * larger than the bound (the text has both). The texts begin with `name`. */
int unpack_step(struct unpack *unpack, const char *name, const unsigned char *in, size_t *in_size,
                int ended, unsigned char *out, size_t *out_size);

void unpack_close(struct unpack *unpack);

#endif
