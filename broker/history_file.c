#include "broker/history_file.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { VERSION = 1, NAMES_AT = 4096, LIVES_AT = 65536 };
static const char magic[8] = "SLUICEHI";

struct header {
    char magic[8];
    uint32_t version, grids, series, records, record_bytes, lives;
    char stream[MESSAGE_NAME_BYTES];
    uint64_t check; /* of what precedes */
};

struct name {
    char text[HISTORY_FILE_NAME_BYTES];
    uint64_t check;
};

struct lives_entry {
    struct lives lives;
    uint64_t check;
};

_Static_assert(NAMES_AT + HISTORY_FILE_SERIES * sizeof(struct name) <= LIVES_AT, "room for names");
_Static_assert(LIVES_AT + sizeof(struct lives_entry) <= HISTORY_FILE_GRIDS_AT, "room for lives");

int history_file_name_ok(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n < HISTORY_FILE_NAME_BYTES &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-") == n;
}

static struct header header_of(const char *stream)
{
    struct header h = {.version = VERSION,
                       .grids = HISTORY_FILE_GRIDS,
                       .series = GRID_SERIES,
                       .records = GRID_RECORDS,
                       .record_bytes = sizeof(struct grid_record),
                       .lives = LIVES_KEPT};
    memcpy(h.magic, magic, sizeof magic);
    strncpy(h.stream, stream, sizeof h.stream - 1);
    h.check = XXH3_64bits(&h, offsetof(struct header, check));
    return h;
}

/* As much as there is of it, and zeros. */
static int get(int fd, void *out, size_t bytes, uint64_t at)
{
    size_t got = 0;
    memset(out, 0, bytes);
    while (got < bytes) {
        ssize_t n = pread(fd, (char *)out + got, bytes - got, (off_t)(at + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_set(ERR_IO, "cannot read the history: %s", strerror(errno));
        if (n == 0) break;
        got += (size_t)n;
    }
    return ERR_OK;
}

static int put(int fd, const void *data, size_t bytes, uint64_t at)
{
    if (file_put_at(fd, data, bytes, at) == 0) return ERR_OK;
    return err_set(errno == ENOSPC || errno == EDQUOT ? ERR_NOSPC : ERR_IO,
                   "cannot write the history: %s", strerror(errno));
}

static int check_header(int fd, const char *stream)
{
    struct header is, should = header_of(stream);
    int result = get(fd, &is, sizeof is, 0);
    if (result != ERR_OK) return result;
    if (memcmp(&is, &should, sizeof is) == 0) return ERR_OK;
    if (memcmp(is.magic, magic, sizeof magic) != 0 ||
        is.check != XXH3_64bits(&is, offsetof(struct header, check)))
        return err_set(ERR_CORRUPT, "its header is damaged");
    if (is.version != VERSION) return err_set(ERR_VERSION, "it has version %u", is.version);
    return err_set(ERR_CORRUPT, "it is of another stream, or of other sizes");
}

/* Names stand one behind another, each once. */
static int take_name(struct history_table *t, const struct name *entry, uint32_t index)
{
    static const struct name none;
    if (memcmp(entry, &none, sizeof none) == 0) return ERR_OK;
    if (index != t->count || entry->check != XXH3_64bits(entry->text, sizeof entry->text) ||
        strnlen(entry->text, sizeof entry->text) == sizeof entry->text ||
        !history_file_name_ok(entry->text))
        return err_set(ERR_CORRUPT, "the name of series %u is damaged", index);
    for (uint32_t i = 0; i < t->count; i++)
        if (strcmp(t->name[i], entry->text) == 0)
            return err_set(ERR_CORRUPT, "the name of series %u is there twice", index);
    memcpy(t->name[t->count++], entry->text, sizeof entry->text);
    return ERR_OK;
}

static int read_names(int fd, struct history_table *t)
{
    struct name *names = calloc(HISTORY_FILE_SERIES, sizeof *names);
    if (!names) return err_set(ERR_NOMEM, "no memory for the history");
    int result = get(fd, names, HISTORY_FILE_SERIES * sizeof *names, NAMES_AT);
    for (uint32_t i = 0; i < HISTORY_FILE_SERIES && result == ERR_OK; i++)
        result = take_name(t, &names[i], i);
    free(names);
    return result;
}

static int read_lives(int fd, struct history_table *t)
{
    struct lives_entry e;
    static const struct lives_entry none;
    int result = get(fd, &e, sizeof e, LIVES_AT);
    if (result != ERR_OK || memcmp(&e, &none, sizeof e) == 0) return result;
    if (e.check != XXH3_64bits(&e.lives, sizeof e.lives) || !lives_ok(&e.lives))
        return err_set(ERR_CORRUPT, "the lives of processes are damaged");
    t->lives = e.lives;
    return ERR_OK;
}

static int read_table(int fd, const char *stream, struct history_table *t)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return err_set(ERR_IO, "cannot be looked at: %s", strerror(errno));
    if (st.st_size == 0) {
        struct header h = header_of(stream);
        return put(fd, &h, sizeof h, 0);
    }
    if (st.st_size > HISTORY_FILE_MOST_BYTES) return err_set(ERR_CORRUPT, "it is too long");
    int result = check_header(fd, stream);
    if (result == ERR_OK) result = read_names(fd, t);
    return result == ERR_OK ? read_lives(fd, t) : result;
}

int history_file_open(const char *path, const char *stream, struct history_table *table, int *out)
{
    int fd;
    memset(table, 0, sizeof *table);
    int result = own_open(path, O_RDWR | O_CREAT, &fd);
    if (result != ERR_OK) return result;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        result = err_set(ERR_EXISTS, "another broker writes %s", path);
    if (result == ERR_OK) result = read_table(fd, stream, table);
    if (result != ERR_OK) {
        close(fd);
        memset(table, 0, sizeof *table);
        return result;
    }
    *out = fd;
    return ERR_OK;
}

int history_file_set_aside(const char *path)
{
    char aside[PATH_MAX];
    int n = snprintf(aside, sizeof aside, "%s.damaged", path);
    if (n < (int)sizeof aside && rename(path, aside) == 0) return ERR_OK;
    return err_set(ERR_IO, "cannot set %s aside: %s", path, strerror(errno));
}

static uint64_t grid_at(uint32_t index)
{
    return HISTORY_FILE_GRIDS_AT + (uint64_t)index * sizeof(struct grid);
}

int history_file_read_grid(int fd, uint32_t index, struct grid *grid)
{
    return get(fd, grid, sizeof *grid, grid_at(index));
}

int history_file_put_name(int fd, uint32_t index, const char *name)
{
    struct name entry = {.text = ""};
    strncpy(entry.text, name, sizeof entry.text - 1);
    entry.check = XXH3_64bits(entry.text, sizeof entry.text);
    return put(fd, &entry, sizeof entry, NAMES_AT + index * sizeof entry);
}

int history_file_put_lives(int fd, const struct lives *lives)
{
    struct lives_entry entry = {.lives = *lives};
    entry.check = XXH3_64bits(&entry.lives, sizeof entry.lives);
    return put(fd, &entry, sizeof entry, LIVES_AT);
}

int history_file_put_record(int fd, uint32_t index, uint32_t place, const struct grid_record *r)
{
    return put(fd, r, sizeof *r, grid_at(index) + (uint64_t)place * sizeof *r);
}

int history_file_put_grid(int fd, uint32_t index, const struct grid *grid)
{
    return put(fd, grid, sizeof *grid, grid_at(index));
}
