/*
 * Holds: a page that rows were put into since it was overwritten last is marked in `stale`; only
 * pages that LMDB itself might write in its next transaction are overwritten.
 */
#include "buffer/scrub.h"

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
#include <unistd.h>

enum {
    DEBTS = 64,
    RUN_PAGES = 64,     /* of one write */
    TURN_PAGES = 4096,  /* of one turn, at the least */
    TURNS = 64,         /* and of a large backlog that part */
    FIRST_DATA_PAGE = 2 /* behind LMDB's own two */
};

struct debt {
    uint64_t txn;
    uint64_t since_ns; /* 0: until the next turn */
};

struct scrub {
    int fd;
    uint64_t pages;  /* of the map */
    uint64_t *stale; /* a bit for each page: rows may be in it */
    uint64_t *free;  /* a bit for each: of the present turn, it may be overwritten */
    struct debt debt[DEBTS];
    size_t debts;
    uint64_t scrubbed_pages, waiting_pages;
    int wants_commit;
    int gives_back; /* nobody writes here any more: pages go out of the file, as far as it can have holes */
};

static const char zeros[RUN_PAGES * BUFFER_PAGE_BYTES];

static int is_set(const uint64_t *bits, uint64_t i)
{
    return bits[i / 64] >> (i % 64) & 1;
}

static void set_bit(uint64_t *bits, uint64_t i)
{
    bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static void clear_bit(uint64_t *bits, uint64_t i)
{
    bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static size_t bitmap_words(const struct scrub *s)
{
    return (size_t)(s->pages / 64 + 1);
}

int scrub_open(const char *dir, uint64_t map_bytes, struct scrub **scrub)
{
    char path[PATH_MAX];
    struct scrub *s = calloc(1, sizeof *s);
    if (!s) return err_set(ERR_NOMEM, "no memory to overwrite freed rows");
    s->fd = -1;
    s->pages = map_bytes / BUFFER_PAGE_BYTES;
    s->stale = malloc(bitmap_words(s) * sizeof *s->stale);
    s->free = calloc(bitmap_words(s), sizeof *s->free);
    int result = s->stale && s->free ? ERR_OK : err_set(ERR_NOMEM, "no memory for a map of pages");
    if (result == ERR_OK && snprintf(path, sizeof path, "%s/data.mdb", dir) >= (int)sizeof path)
        result = err_set(ERR_IO, "path too long: %s", dir);
    if (result == ERR_OK) result = own_open(path, O_RDWR, &s->fd);
    if (result != ERR_OK) {
        scrub_close(s);
        return result;
    }
    memset(s->stale, 0xff, bitmap_words(s) * sizeof *s->stale);
    *scrub = s;
    return ERR_OK;
}

void scrub_close(struct scrub *s)
{
    if (!s) return;
    if (s->fd >= 0) close(s->fd);
    free(s->stale);
    free(s->free);
    free(s);
}

/* A value of whole pages begins behind the header of the first, which begins with its number. */
void scrub_wrote(struct scrub *s, const void *value, size_t bytes)
{
    uint64_t first, pages = (bytes + LMDB_PAGE_HEADER_BYTES) / BUFFER_PAGE_BYTES;
    memcpy(&first, (const char *)value - LMDB_PAGE_HEADER_BYTES, sizeof first);
    for (uint64_t i = first; i < first + pages && i < s->pages; i++) set_bit(s->stale, i);
}

void scrub_owe(struct scrub *s, uint64_t txn)
{
    if (s->debts == DEBTS) { /* the two oldest, as if freed with the younger */
        s->debt[1].since_ns = s->debt[0].since_ns;
        if (s->debt[1].txn < s->debt[0].txn) s->debt[1].txn = s->debt[0].txn;
        memmove(&s->debt[0], &s->debt[1], (DEBTS - 1) * sizeof s->debt[0]);
        s->debts--;
    }
    s->debt[s->debts++] = (struct debt){.txn = txn};
}

void scrub_give_back(struct scrub *s)
{
    s->gives_back = 1;
}

/* ---- what may be overwritten ---- */

static int walk_free_pages(struct scrub *s, MDB_txn *txn, uint64_t oldest, uint64_t end)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(txn, 0, &cursor);
    if (rc != 0) return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        uint64_t freed_by, count, page;
        const char *list = value.mv_data;
        if (key.mv_size != sizeof freed_by || value.mv_size < sizeof count) continue;
        memcpy(&freed_by, key.mv_data, sizeof freed_by);
        memcpy(&count, list, sizeof count);
        if (count > value.mv_size / sizeof page - 1) count = value.mv_size / sizeof page - 1;
        for (uint64_t i = 1; i <= count; i++) {
            memcpy(&page, list + i * sizeof page, sizeof page);
            if (page < FIRST_DATA_PAGE || page >= end || !is_set(s->stale, page)) continue;
            if (freed_by < oldest)
                set_bit(s->free, page);
            else
                s->waiting_pages++;
        }
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Behind the last page in use lies what a transaction wrote that came to nothing. */
static void add_tail(struct scrub *s, uint64_t end)
{
    struct stat st;
    if (fstat(s->fd, &st) != 0) return;
    uint64_t last = (uint64_t)st.st_size / BUFFER_PAGE_BYTES;
    for (uint64_t page = end; page < last && page < s->pages; page++)
        if (is_set(s->stale, page)) set_bit(s->free, page);
}

/* Only the next commit makes what the last one freed anybody's. */
static int owes_last(const struct scrub *s, uint64_t last)
{
    for (size_t i = 0; i < s->debts; i++)
        if (s->debt[i].txn >= last) return 1;
    return 0;
}

/* Fills `free`; *oldest: pages that this transaction or a later one freed may still be read. */
static int find_pages(struct scrub *s, const struct environment *e, uint64_t *oldest)
{
    MDB_txn *txn;
    MDB_envinfo info;
    int rc = mdb_txn_begin(e->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0) return rc;
    memset(s->free, 0, bitmap_words(s) * sizeof *s->free);
    s->waiting_pages = 0;
    rc = mdb_env_info(e->env, &info);
    uint64_t last = mdb_txn_id(txn), end = (uint64_t)info.me_last_pgno + 1;
    if (end > s->pages) end = s->pages;
    *oldest = environment_oldest_reader(e, last);
    if (rc == 0) rc = walk_free_pages(s, txn, *oldest, end);
    if (rc == 0) add_tail(s, end);
    mdb_txn_abort(txn);
    s->wants_commit = owes_last(s, last);
    return rc;
}

/* ---- overwriting ---- */

static uint64_t count_free(const struct scrub *s)
{
    uint64_t count = 0;
    for (size_t i = 0; i < bitmap_words(s); i++)
        count += (uint64_t)__builtin_popcountll(s->free[i]);
    return count;
}

static uint64_t run_length(const struct scrub *s, uint64_t page, uint64_t most)
{
    uint64_t n = 0;
    while (n < most && n < RUN_PAGES && page + n < s->pages && is_set(s->free, page + n)) n++;
    return n;
}

static int give_back(struct scrub *s, off_t at, size_t bytes)
{
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (s->gives_back && fallocate(s->fd, mode, at, (off_t)bytes) != 0) s->gives_back = 0;
    return s->gives_back;
}

static int overwrite(struct scrub *s, uint64_t page, uint64_t pages, const char *dir)
{
    size_t bytes = pages * BUFFER_PAGE_BYTES;
    uint64_t at = page * BUFFER_PAGE_BYTES;
    if (!give_back(s, (off_t)at, bytes) && file_put_at(s->fd, zeros, bytes, at) != 0)
        return environment_error(errno, "cannot overwrite freed rows of", dir);
    for (uint64_t i = 0; i < pages; i++) clear_bit(s->stale, page + i);
    s->scrubbed_pages += pages;
    return ERR_OK;
}

/* *all: nothing that may be overwritten is left. */
static int overwrite_free(struct scrub *s, const char *dir, int *all)
{
    uint64_t backlog = count_free(s), budget = backlog / TURNS;
    if (budget < TURN_PAGES) budget = TURN_PAGES;
    if (s->gives_back) budget = backlog;
    *all = budget >= backlog;
    for (uint64_t page = 0, n; page < s->pages && budget > 0; page += n ? n : 1) {
        if (page % 64 == 0 && s->free[page / 64] == 0) {
            n = 64;
            continue;
        }
        n = run_length(s, page, budget);
        int result = n ? overwrite(s, page, n, dir) : ERR_OK;
        if (result != ERR_OK) return result;
        budget -= n;
    }
    return ERR_OK;
}

static void settle_debts(struct scrub *s, uint64_t oldest)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->debts; i++)
        if (s->debt[i].txn >= oldest) s->debt[kept++] = s->debt[i];
    s->debts = kept;
}

int scrub_turn(struct scrub *s, const struct environment *e, const char *dir, uint64_t now_ns)
{
    uint64_t oldest;
    int all;
    for (size_t i = 0; i < s->debts; i++)
        if (!s->debt[i].since_ns) s->debt[i].since_ns = now_ns;
    s->wants_commit = 0;
    if (s->debts == 0) return ERR_OK;
    int rc = find_pages(s, e, &oldest);
    if (rc != 0) return environment_error(rc, "cannot look for freed rows of", dir);
    int result = overwrite_free(s, dir, &all);
    if (result == ERR_OK && all) settle_debts(s, oldest);
    return result;
}

struct store_scrub scrub_state(const struct scrub *s, uint64_t now_ns)
{
    struct store_scrub state = {.scrubbed_pages = s->scrubbed_pages,
                                .waiting_pages = s->debts > 0 ? s->waiting_pages : 0,
                                .wants_commit = s->wants_commit};
    if (s->debts > 0 && now_ns > s->debt[0].since_ns)
        state.oldest_ns = now_ns - s->debt[0].since_ns;
    return state;
}
