/*
 * Where an array lies: in a .npy, in a .npz, in a safetensors file, or in one of the shards that an
 * index of such names. What a file is, its first bytes say, not its name.
 */
#ifndef SLUICE_ENGINE_PLACE_H
#define SLUICE_ENGINE_PLACE_H

#include "engine/array.h"
#include "engine/blob.h"

struct place_wish {
    const char *name;      /* NULL: the only array that is none of `others` */
    const char *others[2]; /* each may be NULL */
    int is_bf16;           /* V2 in a .npy is bfloat16 */
    int in_index;          /* the file is a shard, and no index itself */
    const char *key;       /* capture.tensor, ...: for messages */
};

enum place_kind { PLACE_NPY, PLACE_NPZ, PLACE_SAFETENSORS };

struct place {
    enum place_kind kind;
    char *path;      /* of the file that holds it */
    char *name;      /* NULL: a .npy, whose array has none */
    uint32_t member; /* of a .npz */
    struct array array;
    struct blob_identity identity;
};

/* Find an array and read what it is, not its values. A .npy has one, whatever name is wished for.
 * ERR_NOTFOUND, ERR_USAGE (none of that name, or several: the text lists them), ERR_FORMAT,
 * ERR_VERSION, ERR_LIMIT, ERR_IO, ERR_NOMEM. The caller ends with place_fini(). */
int place_find(const char *path, const struct place_wish *wish, struct place *place);
void place_fini(struct place *place);

/* Its values are to be floats, or else integers. ERR_VERSION: they are not, and what to do. */
int place_expect(const struct place *place, int floats);

/* The bytes that place->array.offset counts in. ERR_MISMATCH: the file has changed since. Else as
 * blob_open() and npz_bytes(). The caller closes them. */
int place_open(const struct place *place, struct blob **bytes);

/* "FILE" or "FILE: array NAME". Valid until the thread's next call. */
const char *place_name(const struct place *place);

/* err_text() again, with the path before it; returns `code`. */
int place_about(int code, const char *path);

#endif
