/*
 * The LMDB environment of a buffer, as its writer and its readers share it: where things lie in it,
 * how it is opened, and whether it can be trusted. Internal to buffer/.
 *
 *   slabs  integer key id -> slab_header | raw payload | zeros, all of one length
 *   meta   "format"       -> struct format_record, written once
 *          "state"        -> struct state_record, with every commit that changes it
 *          "descriptor"   -> JSON, written once
 *          "producer/NNN" -> struct store_producer
 *
 * A record is the struct as it lies in memory, and behind it XXH3-64 of it, seeded with that of its
 * key: LMDB has no checksums, and one bit of a cursor would be other rows. (The struct alone is a
 * record of version 1.) LMDB is local to a host, and its pages are in that host's byte order
 * anyway. Whoever changes one of the structs raises FORMAT_VERSION; older ones are still read, and
 * made new by the first writer that opens them.
 *
 * Beside it, in the file `boot`, stands whether the environment was closed and, if not, under which
 * boot of the machine it was opened without syncs: after a power cut such a file is garbage.
 */
#ifndef SLUICE_BUFFER_ENVIRONMENT_H
#define SLUICE_BUFFER_ENVIRONMENT_H

#include "buffer/store.h"

#include <lmdb.h>
#include <sys/types.h>

enum {
    FORMAT_VERSION = 2,
    FORMAT_SEALED = 2, /* from this version on every record has its checksum behind it */
    RECORD_SEAL_BYTES = 8,
    BUFFER_PAGE_BYTES = 4096,
    LMDB_PAGE_HEADER_BYTES = 16,
    STORE_SLACK_SLABS = 8, /* at the least, that the map is larger than the capacity */
};

#define SLAB_MAGIC_VERSION 0x0001424c53554c53u /* "SLUSLB", version 1 */

struct format_record {
    char magic[8];
    uint32_t version;
    uint32_t width;
    uint32_t dtype;
    uint32_t slab_bytes;
    uint64_t size_bytes;
    uint64_t run;
    char stream[64];
};

struct state_record {
    struct store_state state;
    uint64_t next_id;
};

struct environment {
    MDB_env *env;
    MDB_dbi slabs, meta;
};

/* Its two files, to be looked at again while they are open. */
struct environment_files {
    dev_t device;
    ino_t data, lock;
    uint64_t bytes; /* of the data */
};

/* Which they are, right after an environment was opened in `dir`. ERR_CORRUPT: one is not there. */
int environment_know(const char *dir, struct environment_files *files);
/* Whether the same two are there, and the data has not become shorter (files->bytes follows it).
 * ERR_CORRUPT, with a text, where not: what was removed, replaced or cut short is not to be written
 * or read on. Looks at two files. */
int environment_in_place(const char *dir, struct environment_files *files);

/* Open, with the databases. Writing: creates what is missing, map of map_bytes, syncs as durability
 * says. Reading: map as the file says. The caller closes it. Follows no link. ERR_NOTFOUND: nothing
 * there yet (reading). ERR_USAGE: one of its files is a link, or (writing) somebody else's. Errors
 * as environment_error() maps them. */
int environment_open_writing(const char *dir, uint64_t map_bytes, enum durability durability,
                             struct environment *e);
int environment_open_reading(const char *dir, struct environment *e);
void environment_close(struct environment *e);

/* Our error for LMDB's or the system's, with a text that says what was being done and where. */
int environment_error(int rc, const char *doing, const char *dir);

/* A record of meta. ERR_NOTFOUND; ERR_CORRUPT: its length is another, or its checksum. */
int environment_get(const struct environment *e, MDB_txn *txn, const char *key, void *out,
                    size_t bytes, const char *dir);
/* The stream's descriptor, in place until the transaction ends; the same errors. */
int environment_descriptor(const struct environment *e, MDB_txn *txn,
                           const struct format_record *format, MDB_val *text, const char *dir);
/* The checksum that stands behind a record. */
uint64_t environment_seal(const char *key, const void *data, size_t bytes);
/* The format, checked: ERR_VERSION, ERR_CORRUPT, ERR_NOTFOUND. */
int environment_format(const struct environment *e, MDB_txn *txn, struct format_record *format,
                       const char *dir);
struct format_record environment_new_format(const struct store_options *options,
                                            uint32_t slab_bytes, uint64_t run);
void environment_producer_key(uint32_t producer, char key[16]);

/* Whether the file `boot` lets the environment be trusted: ERR_CORRUPT if not. */
int environment_boot_check(const char *dir);
/* Note that it is open without syncs under this boot, or closed. Durable when it returns. */
int environment_boot_write(const char *dir, int open_without_syncs);

/* The oldest transaction that a reader is in, at the most `newest`: pages that it, or a later one,
 * has freed may be read. */
uint64_t environment_oldest_reader(const struct environment *e, uint64_t newest);

/* A slab header's own checksum, never 0. */
uint64_t environment_header_hash(const struct slab_header *header);
/* Check a slab's header against its checksum (where it has one), its place and the format, not its
 * payload: ERR_CORRUPT. `value` has been checked to lie within the file. */
int environment_slab_check(const struct format_record *format, uint64_t id, const MDB_val *value,
                           const char *dir);

#endif
