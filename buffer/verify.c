#include "buffer/verify.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

enum { CHILD_SECONDS = 3600 }; /* a walk that takes longer goes in circles */

struct walk {
    const char *dir;
    struct environment e;
    MDB_txn *txn;
    struct format_record format;
    MDB_envinfo info;
    const char *base; /* of the map: LMDB does not tell, the first slab's page number does */
    uint64_t file_pages;
    uint8_t *seen; /* one bit a page of the map */
    uint64_t slabs, bad, free_pages, tree_pages;
};

static int damaged(const struct walk *w, const char *what)
{
    return err_set(ERR_CORRUPT, "the buffer in %s is damaged: %s", w->dir, what);
}

static int take_page(struct walk *w, uint64_t page)
{
    if (page < 2 || page > w->info.me_last_pgno) return damaged(w, "a page lies outside");
    uint8_t bit = (uint8_t)(1u << (page % 8));
    if (w->seen[page / 8] & bit) return damaged(w, "a page is used twice");
    w->seen[page / 8] |= bit;
    return ERR_OK;
}

/* Before the slab is touched: a page beyond the file's end would be a SIGBUS. (It still is one if
 * it is the first slab's; then this process dies of it, which says as much.) */
static int take_slab_pages(struct walk *w, const MDB_val *value)
{
    const char *page_at = (const char *)value->mv_data - LMDB_PAGE_HEADER_BYTES;
    if (value->mv_size != w->format.slab_bytes || (uintptr_t)page_at % BUFFER_PAGE_BYTES != 0)
        return damaged(w, "a slab has another size");
    if (!w->base) {
        uint64_t number;
        memcpy(&number, page_at, sizeof number);
        if (number >= w->file_pages) return damaged(w, "a page lies outside");
        w->base = page_at - number * BUFFER_PAGE_BYTES;
    }
    uint64_t first = (uint64_t)(page_at - w->base) / BUFFER_PAGE_BYTES;
    uint64_t pages = (value->mv_size + LMDB_PAGE_HEADER_BYTES) / BUFFER_PAGE_BYTES;
    if (page_at < w->base || first + pages > w->file_pages)
        return damaged(w, "the file was cut short");
    uint64_t number;
    memcpy(&number, page_at, sizeof number);
    if (number != first) return damaged(w, "a page has another's number");
    for (uint64_t page = first; page < first + pages; page++) {
        int result = take_page(w, page);
        if (result != ERR_OK) return result;
    }
    return ERR_OK;
}

static int walk_slabs(struct walk *w, int checksums)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    uint64_t last = 0;
    int result = ERR_OK;
    int rc = mdb_cursor_open(w->txn, w->e.slabs, &cursor);
    if (rc != 0) return environment_error(rc, "cannot walk", w->dir);
    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); rc == 0 && result == ERR_OK;
         rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        uint64_t id = 0;
        if (key.mv_size == sizeof id) memcpy(&id, key.mv_data, sizeof id);
        if (id <= last) {
            result = damaged(w, "its slabs are out of order");
            break;
        }
        last = id;
        result = take_slab_pages(w, &value);
        if (result == ERR_OK) result = environment_slab_check(&w->format, id, &value, w->dir);
        w->slabs++;
        if (result != ERR_OK || !checksums) continue;
        struct slab_header h;
        memcpy(&h, value.mv_data, sizeof h);
        const char *raw = (const char *)value.mv_data + STORE_SLAB_HEADER_BYTES;
        w->bad += XXH3_64bits(raw, h.raw_bytes) != h.raw_hash;
    }
    mdb_cursor_close(cursor);
    if (result == ERR_OK && rc != MDB_NOTFOUND) result = environment_error(rc, "walk", w->dir);
    return result;
}

/* The list of free pages, LMDB's database 0: a page on it that is in use would be overwritten. */
static int walk_free(struct walk *w)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int result = ERR_OK;
    int rc = mdb_cursor_open(w->txn, 0, &cursor);
    if (rc != 0) return environment_error(rc, "cannot walk", w->dir);
    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); rc == 0 && result == ERR_OK;
         rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        size_t count = 0;
        if (value.mv_size >= sizeof count) memcpy(&count, value.mv_data, sizeof count);
        if (count > value.mv_size / sizeof count - 1) {
            result = damaged(w, "its list of free pages is too long");
            break;
        }
        for (size_t i = 1; result == ERR_OK && i <= count; i++) {
            uint64_t page;
            memcpy(&page, (const char *)value.mv_data + i * sizeof page, sizeof page);
            result = take_page(w, page);
        }
        w->free_pages += count;
    }
    mdb_cursor_close(cursor);
    if (result == ERR_OK && rc != MDB_NOTFOUND) result = environment_error(rc, "walk", w->dir);
    return result;
}

static int count_tree_pages(struct walk *w)
{
    const MDB_dbi dbis[] = {0, 1, w->e.slabs, w->e.meta};
    for (int i = 0; i < 4; i++) {
        MDB_stat st;
        int rc = mdb_stat(w->txn, dbis[i], &st);
        if (rc != 0) return environment_error(rc, "cannot count the pages of", w->dir);
        w->tree_pages += st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
    }
    return ERR_OK;
}

static int is_producer_key(const MDB_val *key, uint32_t *producer)
{
    char name[16], again[16];
    unsigned p;
    snprintf(name, sizeof name, "%.*s", (int)key->mv_size, (const char *)key->mv_data);
    if (sscanf(name, "producer/%u", &p) != 1 || p >= STORE_MAX_PRODUCERS) return 0;
    environment_producer_key(p, again);
    *producer = p;
    return strcmp(name, again) == 0;
}

static int is_key(const MDB_val *key, const char *name)
{
    return key->mv_size == strlen(name) && memcmp(key->mv_data, name, key->mv_size) == 0;
}

/* A record under another's key would be taken for one that was never written. */
static int walk_keys(struct walk *w)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int result = ERR_OK;
    int rc = mdb_cursor_open(w->txn, w->e.meta, &cursor);
    if (rc != 0) return environment_error(rc, "cannot walk", w->dir);
    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); rc == 0 && result == ERR_OK;
         rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        uint32_t producer;
        struct store_producer record;
        char name[16];
        if (is_producer_key(&key, &producer)) {
            environment_producer_key(producer, name);
            result = environment_get(&w->e, w->txn, name, &record, sizeof record, w->dir);
        } else if (!is_key(&key, "format") && !is_key(&key, "state") &&
                   !is_key(&key, "descriptor")) {
            result = damaged(w, "it has a record that nobody wrote");
        }
    }
    mdb_cursor_close(cursor);
    if (result == ERR_OK && rc != MDB_NOTFOUND) result = environment_error(rc, "walk", w->dir);
    return result;
}

static int walk_records(struct walk *w)
{
    MDB_val value;
    uint64_t sum = 0;
    int result = environment_descriptor(&w->e, w->txn, &w->format, &value, w->dir);
    if (result == ERR_OK)
        sum = XXH3_64bits(value.mv_data, value.mv_size); /* touch all of it */
    else if (result == ERR_NOTFOUND)
        result = ERR_OK;
    (void)sum;
    struct state_record state;
    if (result == ERR_OK)
        result = environment_get(&w->e, w->txn, "state", &state, sizeof state, w->dir);
    return result == ERR_OK ? walk_keys(w) : result;
}

/* A map that no machine has the addresses for: the size in one of the two meta pages is damaged. */
static int map_is_absurd(const char *dir)
{
    enum { MAP_SIZE_AT = LMDB_PAGE_HEADER_BYTES + 16 };
    char path[PATH_MAX];
    uint64_t size, absurd = 0;
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    for (off_t page = 0; page < 2; page++)
        if (pread(fd, &size, sizeof size, page * BUFFER_PAGE_BYTES + MAP_SIZE_AT) == sizeof size)
            absurd |= size >> 46;
    if (fd >= 0) close(fd);
    return absurd != 0;
}

/* Whoever created it died before its first record. */
static int is_empty(const struct walk *w)
{
    MDB_stat slabs, meta;
    return mdb_stat(w->txn, w->e.slabs, &slabs) == 0 && slabs.ms_entries == 0 &&
           mdb_stat(w->txn, w->e.meta, &meta) == 0 && meta.ms_entries == 0;
}

static int walk_all(struct walk *w, int checksums)
{
    MDB_envinfo after;
    char path[PATH_MAX];
    struct stat st;
    int result = environment_open_reading(w->dir, &w->e);
    if (result == ERR_NOMEM && map_is_absurd(w->dir)) result = damaged(w, "the size of its map");
    if (result != ERR_OK) return result;
    mdb_env_info(w->e.env, &w->info);
    int rc = mdb_txn_begin(w->e.env, NULL, MDB_RDONLY, &w->txn);
    if (rc != 0) return environment_error(rc, "cannot read", w->dir);
    mdb_env_info(w->e.env, &after);
    /* A writer may be at work. Only what holds for one and the same transaction is compared. */
    int still =
        w->info.me_last_txnid == mdb_txn_id(w->txn) && after.me_last_txnid == w->info.me_last_txnid;
    if (!still) w->info.me_last_pgno = w->info.me_mapsize / BUFFER_PAGE_BYTES;
    snprintf(path, sizeof path, "%s/data.mdb", w->dir);
    if (lstat(path, &st) != 0) return err_set(ERR_IO, "cannot stat %s: %s", path, strerror(errno));
    w->file_pages = (uint64_t)st.st_size / BUFFER_PAGE_BYTES;
    w->seen = calloc(1, w->info.me_last_pgno / 8 + 1);
    if (!w->seen) return err_set(ERR_NOMEM, "no memory to check the buffer in %s", w->dir);
    result = environment_format(&w->e, w->txn, &w->format, w->dir);
    if (result == ERR_NOTFOUND) return is_empty(w) ? result : damaged(w, "it lacks its format");
    if (result == ERR_OK) result = walk_records(w);
    if (result == ERR_NOTFOUND) result = damaged(w, "it lacks a record");
    if (result == ERR_OK) result = walk_slabs(w, checksums);
    if (result == ERR_OK) result = walk_free(w);
    if (result == ERR_OK) result = count_tree_pages(w);
    if (result == ERR_OK && still &&
        w->tree_pages + w->free_pages + 2 != (uint64_t)w->info.me_last_pgno + 1)
        result = damaged(w, "its pages do not add up");
    return result;
}

struct answer {
    int result;
    uint64_t slabs, bad;
    char text[512];
};

static void child(const char *dir, int checksums, int out)
{
    /* Locks are its parent's: where that is killed, they must go with it. */
    if (out > STDERR_FILENO + 1) close_range(STDERR_FILENO + 1, (unsigned)out - 1, 0);
    close_range((unsigned)out + 1, ~0u, 0);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM, SIGTERM};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) signal(signals[i], SIG_DFL);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    alarm(CHILD_SECONDS);
    struct walk w = {.dir = dir};
    struct answer answer = {0};
    answer.result = walk_all(&w, checksums);
    answer.slabs = w.slabs;
    answer.bad = w.bad;
    if (answer.result != ERR_OK) snprintf(answer.text, sizeof answer.text, "%s", err_text());
    if (w.txn) mdb_txn_abort(w.txn); /* gives the reader's slot back */
    environment_close(&w.e);
    ssize_t n = write(out, &answer, sizeof answer);
    _exit(n == sizeof answer ? 0 : 1);
}

static int read_answer(int fd, struct answer *answer)
{
    size_t used = 0;
    while (used < sizeof *answer) {
        ssize_t n = read(fd, (char *)answer + used, sizeof *answer - used);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return 0;
        used += (size_t)n;
    }
    return 1;
}

int verify_in_child(const char *dir, int checksums, uint64_t *slabs, uint64_t *bad)
{
    int pipes[2], status = 0;
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return err_set(ERR_IO, "cannot make a pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        close(pipes[0]);
        child(dir, checksums, pipes[1]);
    }
    close(pipes[1]);
    if (pid < 0) {
        close(pipes[0]);
        return err_set(ERR_IO, "cannot fork: %s", strerror(errno));
    }
    struct answer answer;
    int answered = read_answer(pipes[0], &answer);
    close(pipes[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!answered)
        return err_set(ERR_CORRUPT,
                       "the buffer in %s is damaged: the process that looked at it died (%s %d)",
                       dir, WIFSIGNALED(status) ? "signal" : "exit code",
                       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    *slabs = answer.slabs;
    *bad = answer.bad;
    return answer.result == ERR_OK ? ERR_OK : err_set(answer.result, "%s", answer.text);
}
