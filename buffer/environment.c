#include "buffer/environment.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

enum { LOCK_BYTES = 8192 }; /* what LMDB makes for its 126 readers */

static const char format_magic[8] = {'S', 'L', 'U', 'B', 'U', 'F', 'F', '\n'};

static int disk_is_full(const char *dir)
{
    struct statvfs fs;
    return statvfs(dir, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < 1 << 20;
}

int environment_error(int rc, const char *doing, const char *dir)
{
    int code = ERR_IO;
    const char *hint = "";
    switch (rc) {
    case MDB_NOTFOUND:
    case ENOENT: /* it was set aside this moment */
        code = ERR_NOTFOUND;
        break;
    case ENOMEM:
        code = ERR_NOMEM;
        break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case MDB_MAP_FULL:
        code = ERR_NOSPC;
        break;
    case EIO: /* a full disk shows itself as a short write */
        code = disk_is_full(dir) ? ERR_NOSPC : ERR_IO;
        break;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
    case MDB_CURSOR_FULL:
    case MDB_BAD_VALSIZE:
    case MDB_KEYEXIST: /* keys only grow: one that is there, or lies behind, is a damaged one */
        code = ERR_CORRUPT;
        break;
    case MDB_VERSION_MISMATCH:
        code = ERR_VERSION;
        hint = "; HINT: it was made by another version of LMDB";
        break;
    case MDB_READERS_FULL:
        hint = "; HINT: too many trainers read this buffer at once";
        break;
    }
    if (code == ERR_NOSPC && rc != MDB_MAP_FULL) hint = "; HINT: make room on that disk";
    return err_set(code, "%s the buffer in %s: %s%s", doing, dir, mdb_strerror(rc), hint);
}

/* LMDB follows links. `writing`: their bytes are changed. */
static int check_file(const char *dir, const char *name, int writing)
{
    char path[PATH_MAX];
    struct stat st;
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return err_set(ERR_IO, "path too long: %s", dir);
    if (lstat(path, &st) != 0) return ERR_OK; /* it is made, or missed by LMDB */
    if (S_ISLNK(st.st_mode)) return own_refuse_link(path);
    if (!S_ISREG(st.st_mode)) return err_set(ERR_USAGE, "%s is not a regular file", path);
    return writing ? own_judge("file", path, &st) : ERR_OK;
}

/* LMDB maps it and writes there: on a full disk a hole in it would be a SIGBUS. */
static int give_lock_its_room(const char *dir)
{
    char path[PATH_MAX];
    int fd;
    if (snprintf(path, sizeof path, "%s/lock.mdb", dir) >= (int)sizeof path)
        return err_set(ERR_IO, "path too long: %s", dir);
    int result = own_open(path, O_RDWR | O_CREAT, &fd);
    if (result != ERR_OK) return result;
    errno = posix_fallocate(fd, 0, LOCK_BYTES);
    if (errno == ENOSPC || errno == EDQUOT) result = file_error("cannot make room for", path);
    close(fd);
    return result;
}

static int prepare_files(const char *dir, int writing)
{
    int result = check_file(dir, "data.mdb", writing);
    if (result == ERR_OK) result = check_file(dir, "lock.mdb", writing);
    return result == ERR_OK && writing ? give_lock_its_room(dir) : result;
}

static int look(const char *dir, const char *name, struct stat *st)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path) return -1;
    return lstat(path, st);
}

int environment_know(const char *dir, struct environment_files *files)
{
    struct stat data, lock;
    if (look(dir, "data.mdb", &data) != 0 || look(dir, "lock.mdb", &lock) != 0)
        return err_set(ERR_CORRUPT, "the buffer in %s was removed while it was opened", dir);
    *files =
        (struct environment_files){data.st_dev, data.st_ino, lock.st_ino, (uint64_t)data.st_size};
    return ERR_OK;
}

/* 1: the same; 0: another, or none; a disk that does not answer says nothing. */
static int is_same(const char *dir, const char *name, dev_t device, ino_t inode, struct stat *st)
{
    if (look(dir, name, st) != 0) return errno != ENOENT && errno != ENOTDIR ? -1 : 0;
    return st->st_dev == device && st->st_ino == inode;
}

int environment_in_place(const char *dir, struct environment_files *files)
{
    struct stat data, lock;
    int same = is_same(dir, "data.mdb", files->device, files->data, &data);
    if (same == 0)
        return err_set(ERR_CORRUPT, "the data file in %s was removed or replaced while it was open",
                       dir);
    if (same > 0 && (uint64_t)data.st_size < files->bytes)
        return err_set(ERR_CORRUPT, "the data file in %s was cut short while it was open", dir);
    if (same > 0) files->bytes = (uint64_t)data.st_size;
    if (is_same(dir, "lock.mdb", files->device, files->lock, &lock) == 0)
        return err_set(ERR_CORRUPT,
                       "the lock table in %s was removed or replaced while it was open, so that "
                       "readers who come are not seen",
                       dir);
    return ERR_OK;
}

static int environment_open(const char *dir, uint64_t map_bytes, unsigned flags,
                            struct environment *e)
{
    MDB_txn *txn = NULL;
    unsigned creating = flags & MDB_RDONLY ? 0 : MDB_CREATE;
    memset(e, 0, sizeof *e);
    int files = prepare_files(dir, !(flags & MDB_RDONLY));
    if (files != ERR_OK) return files;
    int rc = mdb_env_create(&e->env);
    if (rc == 0) rc = mdb_env_set_maxdbs(e->env, 2);
    if (rc == 0 && map_bytes) rc = mdb_env_set_mapsize(e->env, map_bytes);
    if (rc == 0) rc = mdb_env_open(e->env, dir, flags | MDB_NOTLS, 0600);
    if (rc == 0) rc = mdb_txn_begin(e->env, NULL, flags & MDB_RDONLY, &txn);
    if (rc == 0) rc = mdb_dbi_open(txn, "slabs", creating | MDB_INTEGERKEY, &e->slabs);
    if (rc == 0) rc = mdb_dbi_open(txn, "meta", creating, &e->meta);
    if (rc == 0) {
        rc = mdb_txn_commit(txn);
        txn = NULL;
    }
    MDB_stat st;
    int foreign = rc == MDB_NOTFOUND && mdb_stat(txn, 1, &st) == 0 && st.ms_entries > 0;
    if (txn) mdb_txn_abort(txn);
    if (rc == 0) return ERR_OK;
    int result = environment_error(rc, "cannot open", dir);
    if (foreign)
        result = err_set(ERR_CORRUPT, "the LMDB file in %s belongs to another program", dir);
    environment_close(e);
    return result;
}

int environment_open_writing(const char *dir, uint64_t map_bytes, enum durability durability,
                             struct environment *e)
{
    return environment_open(dir, map_bytes, durability == DURABILITY_PROCESS ? MDB_NOSYNC : 0, e);
}

int environment_open_reading(const char *dir, struct environment *e)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    if (lstat(path, &st) != 0 || st.st_size == 0)
        return err_set(ERR_NOTFOUND, "there is no buffer in %s", dir);
    return environment_open(dir, 0, MDB_RDONLY, e);
}

void environment_close(struct environment *e)
{
    if (e->env) mdb_env_close(e->env);
    memset(e, 0, sizeof *e);
}

static int find(const struct environment *e, MDB_txn *txn, const char *key, MDB_val *value,
                const char *dir)
{
    MDB_val k = {strlen(key), (void *)key};
    int rc = mdb_get(txn, e->meta, &k, value);
    return rc == 0 ? ERR_OK : environment_error(rc, "cannot read a record of", dir);
}

uint64_t environment_seal(const char *key, const void *data, size_t bytes)
{
    return XXH3_64bits_withSeed(data, bytes, XXH3_64bits(key, strlen(key)));
}

static int check_seal(const char *key, const MDB_val *value, size_t bytes, const char *dir)
{
    uint64_t seal;
    memcpy(&seal, (const char *)value->mv_data + bytes, sizeof seal);
    if (seal == environment_seal(key, value->mv_data, bytes)) return ERR_OK;
    return err_set(ERR_CORRUPT, "the record '%s' of the buffer in %s does not match its checksum",
                   key, dir);
}

int environment_get(const struct environment *e, MDB_txn *txn, const char *key, void *out,
                    size_t bytes, const char *dir)
{
    MDB_val value;
    int result = find(e, txn, key, &value, dir);
    if (result != ERR_OK) return result;
    if (value.mv_size == bytes + RECORD_SEAL_BYTES)
        result = check_seal(key, &value, bytes, dir);
    else if (value.mv_size != bytes)
        result = err_set(ERR_CORRUPT, "the record '%s' of the buffer in %s has %zu bytes, not %zu",
                         key, dir, value.mv_size, bytes + RECORD_SEAL_BYTES);
    if (result == ERR_OK) memcpy(out, value.mv_data, bytes);
    return result;
}

int environment_descriptor(const struct environment *e, MDB_txn *txn,
                           const struct format_record *format, MDB_val *text, const char *dir)
{
    int result = find(e, txn, "descriptor", text, dir);
    if (result != ERR_OK || format->version < FORMAT_SEALED) return result;
    if (text->mv_size < RECORD_SEAL_BYTES)
        return err_set(ERR_CORRUPT, "the buffer in %s has a damaged descriptor", dir);
    text->mv_size -= RECORD_SEAL_BYTES;
    return check_seal("descriptor", text, text->mv_size, dir);
}

int environment_format(const struct environment *e, MDB_txn *txn, struct format_record *format,
                       const char *dir)
{
    MDB_val value;
    struct format_record f;
    int result = find(e, txn, "format", &value, dir);
    if (result == ERR_OK && value.mv_size == sizeof f + RECORD_SEAL_BYTES)
        result = check_seal("format", &value, sizeof f, dir);
    if (result != ERR_OK) return result;
    if (value.mv_size < offsetof(struct format_record, width))
        return err_set(ERR_CORRUPT, "the buffer in %s has a damaged format record", dir);
    memcpy(&f, value.mv_data, value.mv_size < sizeof f ? value.mv_size : sizeof f);
    if (memcmp(f.magic, format_magic, sizeof f.magic) != 0)
        return err_set(ERR_CORRUPT, "the file in %s is no buffer of Sluice", dir);
    if (f.version < 1 || f.version > FORMAT_VERSION)
        return err_set(ERR_VERSION,
                       "the buffer in %s has format %u, this build knows %d; HINT: finish with the "
                       "version that made it, or start over with --fresh",
                       dir, f.version, FORMAT_VERSION);
    uint32_t rows = store_rows_per_slab(f.slab_bytes, f.width, (uint8_t)f.dtype);
    size_t bytes = sizeof f + (f.version < FORMAT_SEALED ? 0 : RECORD_SEAL_BYTES);
    if (value.mv_size != bytes || !memchr(f.stream, 0, sizeof f.stream) || rows == 0 ||
        (f.slab_bytes + LMDB_PAGE_HEADER_BYTES) % BUFFER_PAGE_BYTES != 0)
        return err_set(ERR_CORRUPT, "the buffer in %s has a damaged format record", dir);
    *format = f;
    return ERR_OK;
}

struct format_record environment_new_format(const struct store_options *options,
                                            uint32_t slab_bytes, uint64_t run)
{
    struct format_record f = {
        .version = FORMAT_VERSION,
        .width = options->width,
        .dtype = options->dtype,
        .slab_bytes = slab_bytes,
        .size_bytes = options->size_bytes,
        .run = run,
    };
    memcpy(f.magic, format_magic, sizeof f.magic);
    snprintf(f.stream, sizeof f.stream, "%s", options->stream);
    return f;
}

void environment_producer_key(uint32_t producer, char key[16])
{
    snprintf(key, 16, "producer/%03u", producer % 1000);
}

static int boot_id(char *out, size_t bytes)
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    char *line = f ? fgets(out, (int)bytes, f) : NULL;
    if (f) fclose(f);
    if (!line) return err_set(ERR_IO, "cannot read the machine's boot id: %s", strerror(errno));
    out[strcspn(out, "\n")] = '\0';
    return ERR_OK;
}

int environment_boot_check(const char *dir)
{
    char path[PATH_MAX], id[64], *text;
    struct stat st;
    size_t bytes;
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    if (lstat(path, &st) != 0 || st.st_size == 0) return ERR_OK;
    snprintf(path, sizeof path, "%s/boot", dir);
    int result = own_read(path, 256, &text, &bytes);
    if (result == ERR_NOTFOUND)
        return err_set(ERR_CORRUPT, "the buffer in %s lacks the file that says how it was closed",
                       dir);
    if (result != ERR_OK) return result;
    text[strcspn(text, "\n")] = '\0';
    result = boot_id(id, sizeof id);
    if (result == ERR_OK && strcmp(text, "closed") != 0 && strcmp(text, id) != 0)
        result = err_set(ERR_CORRUPT,
                         "the buffer in %s was in use, with durability 'process', when the machine "
                         "went down: what it holds is not to be trusted",
                         dir);
    free(text);
    return result;
}

int environment_boot_write(const char *dir, int open_without_syncs)
{
    char path[PATH_MAX], text[80] = "closed";
    snprintf(path, sizeof path, "%s/boot", dir);
    int result = open_without_syncs ? boot_id(text, sizeof text) : ERR_OK;
    if (result != ERR_OK) return result;
    strcat(text, "\n");
    return file_replace(path, text, strlen(text));
}

/* One line of LMDB's reader list: "pid thread txnid", the last a dash where it reads nothing. */
static int oldest_reader(const char *line, void *arg)
{
    uint64_t *oldest = arg;
    unsigned long long txn;
    if (sscanf(line, "%*s %*s %llu", &txn) == 1 && txn < *oldest) *oldest = txn;
    return 0;
}

uint64_t environment_oldest_reader(const struct environment *e, uint64_t newest)
{
    uint64_t oldest = newest;
    mdb_reader_list(e->env, oldest_reader, &oldest);
    return oldest;
}

uint64_t environment_header_hash(const struct slab_header *header)
{
    struct slab_header h = *header;
    h.header_hash = 0;
    uint64_t hash = XXH3_64bits(&h, sizeof h);
    return hash ? hash : 1;
}

int environment_slab_check(const struct format_record *format, uint64_t id, const MDB_val *value,
                           const char *dir)
{
    struct slab_header h;
    int ok = value->mv_size == format->slab_bytes;
    if (ok) {
        memcpy(&h, value->mv_data, sizeof h);
        size_t raw = frame_raw_bytes(h.rows, h.width, (uint8_t)h.dtype);
        ok = (h.header_hash == 0 || h.header_hash == environment_header_hash(&h)) &&
             h.magic_version == SLAB_MAGIC_VERSION && h.id == id && h.number > 0 && h.rows > 0 &&
             h.producer < STORE_MAX_PRODUCERS && h.width == format->width &&
             h.dtype == format->dtype && raw == h.raw_bytes && raw > 0 &&
             raw <= format->slab_bytes - STORE_SLAB_HEADER_BYTES;
    }
    return ok ? ERR_OK
              : err_set(ERR_CORRUPT, "the buffer in %s: slab %llu has a damaged header", dir,
                        (unsigned long long)id);
}
