/*
 * The store from within: what store_open.c makes and store.c works on. Only these two include it.
 */
#ifndef SLUICE_BUFFER_STORE_PARTS_H
#define SLUICE_BUFFER_STORE_PARTS_H

#include "buffer/environment.h"
#include "buffer/scrub.h"
#include "buffer/slab_index.h"
#include "buffer/store.h"

enum { PINNED_ENTRIES = 64 };

struct pinned {
    uint64_t txn; /* that freed them */
    uint64_t slabs;
};

struct records {
    struct state_record state;
    struct store_producer producer[STORE_MAX_PRODUCERS];
    uint8_t known[STORE_MAX_PRODUCERS];
};

struct store {
    char *dir;
    enum durability durability;
    int lock;
    struct environment e; /* env NULL: a reopen failed, the next begin tries again */
    struct environment_files files;
    struct format_record format;
    MDB_txn *txn;
    int state_changed;
    int is_spoilt;  /* this transaction: LMDB has given it up */
    uint64_t freed; /* slabs, in this transaction */
    struct records committed, pending;
    struct slab_index index;
    struct pinned pinned[PINNED_ENTRIES];
    size_t pinned_entries;
    uint64_t fit;        /* slabs that the map has pages for */
    struct scrub *scrub; /* NULL: freed pages stay as they are */
    uint64_t puts;       /* slabs, in this transaction */
};

/* In store_open.c. Open the environment again and read everything anew: after a commit that failed.
 * Where that fails too, e.env is NULL and the next store_begin() tries again. ERR_* of
 * store_open(). Blocks on the disk. */
int store_reopen(struct store *store);
/* In store.c. Write one small record in the open transaction. ERR_NOSPC, ERR_IO, ... */
int store_record_put(struct store *store, const char *key, const void *data, size_t bytes);

#endif
