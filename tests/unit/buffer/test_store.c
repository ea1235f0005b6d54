#include "tests/unit/buffer/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "buffer/consumer.h"
#include "buffer/damage.h"
#include "buffer/store_parts.h"

/* ---- a disk that fails ----
 * LMDB's writes go through these, since the executable's own functions come first. */

static int failing_errno;                   /* 0: writes go through */
static uint64_t failing_below = UINT64_MAX; /* only those before this offset fail */
static int dying_after;                     /* 0: never; else at this write the process dies */

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    if (dying_after && --dying_after == 0) _exit(9);
    if (failing_errno && (uint64_t)offset < failing_below) {
        errno = failing_errno;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, bytes, offset);
}

static uint64_t data_bytes(void)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/data.mdb", rig_dir);
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

static void what_is_committed_is_there_after_reopening(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 11);
    rig_fill(store, &o, 1, 1, 4);
    uint32_t rows = rig_rows(store);
    uint64_t run = store_state(store)->run;
    store_close(store);
    store = rig_open(&o);
    struct slab_ref ref;
    struct store_producer record;
    assert_int_equal(store_count(store), 13);
    assert_int_equal(store_state(store)->slabs, 13);
    assert_int_equal(store_state(store)->rows, 13 * rows);
    assert_int_equal(store_state(store)->run, run);
    assert_ok(store_find(store, 0, 10, &ref));
    assert_int_equal(ref.rows, rows);
    assert_int_equal(store_find(store, 0, 11, &ref), ERR_NOTFOUND);
    assert_ok(store_producer_get(store, 1, &record));
    assert_int_equal(record.next_number, 4);
    assert_int_equal(record.cursor.document, 3 * rows);
    assert_int_equal(store_producer_get(store, 2, &record), ERR_NOTFOUND);
    store_close(store);
}

static void an_abort_undoes_puts_frees_and_records(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 6);
    struct slab_ref ref;
    struct store_producer record;
    uint64_t rows = store_state(store)->rows;
    assert_ok(store_begin(store));
    uint64_t ids[] = {1, 3, 99};
    assert_ok(store_free(store, ids, 3));
    assert_int_equal(store_find(store, 0, 3, &ref), ERR_NOTFOUND);
    assert_ok(rig_put(store, &o, 0, 6, 0));
    assert_ok(rig_put(store, &o, 0, 3, 0)); /* freed and made again in one transaction */
    assert_int_equal(store_state(store)->slabs, 5);
    store_abort(store);
    assert_int_equal(store_count(store), 5);
    assert_int_equal(store_state(store)->rows, rows);
    for (uint64_t n = 1; n <= 5; n++) {
        assert_ok(store_find(store, 0, n, &ref));
        assert_int_equal(ref.id, n);
        assert_int_equal(store_slab(store, n - 1).id, n);
    }
    assert_int_equal(store_find(store, 0, 6, &ref), ERR_NOTFOUND);
    assert_ok(store_producer_get(store, 0, &record));
    assert_int_equal(record.next_number, 6);
    store_close(store);
}

static void ids_are_never_used_again(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 4);
    uint64_t ids[] = {1, 2, 3};
    assert_ok(store_begin(store));
    assert_ok(store_free(store, ids, 3));
    assert_ok(store_commit(store));
    store_close(store);
    store = rig_open(&o);
    assert_int_equal(store_count(store), 0);
    rig_fill(store, &o, 0, 4, 5);
    assert_int_equal(store_slab(store, 0).id, 4);
    store_close(store);
}

static void a_frame_is_stored_once(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 3);
    assert_ok(store_begin(store));
    assert_int_equal(rig_put(store, &o, 0, 2, 0), ERR_EXISTS);
    assert_ok(rig_put(store, &o, 0, 3, 0));
    assert_ok(store_commit(store));
    assert_int_equal(store_count(store), 3);
    store_close(store);
}

static void slabs_that_do_not_fit_the_buffer_are_refused(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    void *raw;
    struct slab_header good = {.number = 1, .rows = 2, .width = o.width, .dtype = o.dtype};
    good.raw_bytes = (uint32_t)frame_raw_bytes(2, o.width, o.dtype);
    assert_ok(store_begin(store));
    struct slab_header h = good;
    h.width++;
    assert_int_equal(store_put(store, &h, &raw), ERR_MISMATCH);
    h = good;
    h.dtype = DTYPE_BF16;
    assert_int_equal(store_put(store, &h, &raw), ERR_MISMATCH);
    h = good;
    h.raw_bytes++;
    assert_int_equal(store_put(store, &h, &raw), ERR_LIMIT);
    h = good;
    h.number = 0;
    assert_int_equal(store_put(store, &h, &raw), ERR_LIMIT);
    h = good;
    h.producer = STORE_MAX_PRODUCERS;
    assert_int_equal(store_put(store, &h, &raw), ERR_LIMIT);
    h = good;
    h.rows = rig_rows(store) + 1;
    h.raw_bytes = (uint32_t)frame_raw_bytes(h.rows, o.width, o.dtype);
    assert_int_equal(store_put(store, &h, &raw), ERR_LIMIT);
    h = good;
    assert_ok(store_put(store, &h, &raw));
    store_close(store);
}

static void only_one_writes(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o), *second;
    assert_int_equal(store_open(&o, &second), ERR_EXISTS);
    char path[128];
    assert_int_equal(store_set_aside(rig_dir, path, sizeof path), ERR_EXISTS);
    store_close(store);
}

/* The child of `pid`, once it has one. */
static pid_t await_child_of(pid_t pid)
{
    char path[64];
    int child = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    for (int i = 0; i < 10000 && !child; i++) {
        FILE *f = fopen(path, "r");
        if (!f || fscanf(f, "%d", &child) != 1) usleep(1000);
        if (f) fclose(f);
    }
    assert_true(child > 0);
    return child;
}

/* A writer is killed while its child looks at the files: held up by us, for as long as we like. */
static void a_child_does_not_keep_its_parents_lock(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    char path[128];
    int lmdb, lock = -1;
    store_close(rig_open(&o));
    snprintf(path, sizeof path, "%s/lock.mdb", rig_dir);
    lmdb = open(path, O_RDWR);
    assert_int_equal(fcntl(lmdb, F_SETLK, &whole), 0); /* LMDB waits for it when it opens */
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    pid_t writer = fork();
    if (writer == 0) {
        rig_open(&o);
        _exit(0);
    }
    pid_t child = await_child_of(writer);
    snprintf(path, sizeof path, "%s/writer.lock", rig_dir);
    assert_int_equal(file_lock(path, &lock), ERR_EXISTS);
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    for (int i = 0; i < 5000 && file_lock(path, &lock) != ERR_OK; i++) usleep(1000);
    int is_at_work = waitpid(child, NULL, WNOHANG) == 0; /* it is ours now */
    close(lmdb);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    assert_true(is_at_work);
    assert_true(lock >= 0);
    close(lock);
}

static void the_descriptor_is_committed_once(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    char *text, *large = malloc(300000);
    size_t bytes;
    assert_int_equal(store_descriptor_get(store, &text, &bytes), ERR_NOTFOUND);
    memset(large, 'x', 300000);
    assert_ok(store_descriptor_put(store, large, 300000));
    assert_int_equal(store_descriptor_put(store, "{}", 2), ERR_EXISTS);
    store_close(store);
    store = rig_open(&o);
    assert_ok(store_descriptor_get(store, &text, &bytes));
    assert_int_equal(bytes, 300000);
    assert_memory_equal(text, large, bytes);
    assert_int_equal(text[bytes], 0);
    free(text);
    free(large);
    store_close(store);
}

static void refuse(const struct store_options *o, int code, const char *text)
{
    struct store *store;
    assert_int_equal(store_open(o, &store), code);
    if (!strstr(err_text(), text)) fail_msg("'%s' is not in: %s", text, err_text());
}

static void another_streams_buffer_is_refused(void **state)
{
    (void)state;
    struct store_options o = rig_options(), other = o;
    store_close(rig_open(&o));
    other.stream = "other";
    refuse(&other, ERR_MISMATCH, "'rig'");
    other = o;
    other.width = 32;
    refuse(&other, ERR_MISMATCH, "width of 16, now it is 32");
    other = o;
    other.dtype = DTYPE_BF16;
    refuse(&other, ERR_MISMATCH, "dtype");
    other = o;
    other.size_bytes *= 2;
    refuse(&other, ERR_MISMATCH, "sink.size");
    other = o;
    other.slab_bytes = 8 * 4096 - 16;
    refuse(&other, ERR_MISMATCH, "sink.slab");
    other.slab_bytes = 0; /* whatever it was made with */
    store_close(rig_open(&other));
}

static void another_version_is_refused(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    store_close(rig_open(&o));
    struct environment e;
    MDB_txn *txn;
    MDB_val key = {6, "format"}, value;
    struct format_record f;
    assert_ok(environment_open_writing(rig_dir, o.size_bytes, DURABILITY_PROCESS, &e));
    assert_int_equal(mdb_txn_begin(e.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_get(txn, e.meta, &key, &value), 0);
    memcpy(&f, value.mv_data, sizeof f);
    f.version++;
    value = (MDB_val){sizeof f, &f};
    assert_int_equal(mdb_put(txn, e.meta, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    environment_close(&e);
    refuse(&o, ERR_VERSION, "format 3");
}

static void a_buffer_that_is_too_small_says_how_large_it_must_be(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    o.slab_bytes = 0;
    o.width = 4096;
    refuse(&o, ERR_USAGE, "MiB");
    unsigned mib = 0;
    sscanf(strstr(err_text(), "at least"), "at least %u MiB", &mib);
    o.size_bytes = (uint64_t)mib << 20;
    struct store *store = rig_open(&o);
    assert_true(store_capacity(store) >= STORE_LEAST_SLABS);
    assert_true(rig_rows(store) >= STORE_LEAST_ROWS);
    store_close(store);
}

static void slab_sizes_follow_the_buffer(void **state)
{
    (void)state;
    const uint32_t widths[] = {1, 16, 576, 4096, 20000};
    for (int w = 0; w < 5; w++)
        for (uint8_t dtype = DTYPE_F32; dtype <= DTYPE_INT8; dtype++)
            for (uint64_t size = 1 << 20; size <= 1ull << 40; size *= 4) {
                uint32_t bytes = store_slab_bytes(size, widths[w], dtype);
                if (bytes == 0) continue;
                assert_int_equal((bytes + 16) % 4096, 0);
                uint64_t capacity = store_slab_capacity(size, bytes, widths[w]);
                assert_true(capacity >= STORE_LEAST_SLABS);
                assert_true(capacity * (bytes + 16) <= size / 100 * 95);
                uint32_t rows = store_rows_per_slab(bytes, widths[w], dtype);
                assert_true(rows >= STORE_LEAST_ROWS);
                /* Larger than 256 KiB only where that would not hold 16 rows. */
                if (bytes > 64 * 4096)
                    assert_true(store_rows_per_slab(64 * 4096 - 16, widths[w], dtype) < 16);
                if (size >= 64 << 20 && widths[w] <= 576) assert_int_equal(bytes, 64 * 4096 - 16);
            }
}

/* ---- trust ---- */

static void write_boot(const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/boot", rig_dir);
    assert_ok(file_replace(path, text, strlen(text)));
}

static void a_buffer_in_use_when_the_machine_went_down_is_not_trusted(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    store_close(rig_open(&o));
    write_boot("00000000-another-boot\n");
    refuse(&o, ERR_CORRUPT, "when the machine went down");
    o.durability = DURABILITY_POWER;
    refuse(&o, ERR_CORRUPT, "when the machine went down");
    write_boot("closed\n");
    store_close(rig_open(&o));
    o.durability = DURABILITY_PROCESS;
    struct store *store = rig_open(&o);
    char path[128], *text;
    size_t bytes;
    snprintf(path, sizeof path, "%s/boot", rig_dir);
    assert_ok(file_read(path, 100, &text, &bytes));
    assert_string_not_equal(text, "closed\n"); /* while it is open */
    free(text);
    store_close(store);
    assert_ok(file_read(path, 100, &text, &bytes));
    assert_string_equal(text, "closed\n");
    free(text);
}

static void with_durability_power_no_close_is_needed(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    o.durability = DURABILITY_POWER;
    pid_t pid = fork();
    if (pid == 0) {
        struct store *store = rig_open(&o);
        rig_fill(store, &o, 0, 1, 5);
        kill(getpid(), SIGKILL);
    }
    waitpid(pid, NULL, 0);
    char path[128], *text;
    size_t bytes;
    snprintf(path, sizeof path, "%s/boot", rig_dir);
    assert_ok(file_read(path, 100, &text, &bytes));
    assert_string_equal(text, "closed\n");
    free(text);
    struct store *store = rig_open(&o);
    assert_int_equal(store_count(store), 4);
    store_close(store);
}

static void poke(uint64_t offset, const void *data, size_t bytes)
{
    char path[128];
    snprintf(path, sizeof path, "%s/data.mdb", rig_dir);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, bytes, (off_t)offset), bytes);
    close(fd);
}

/* Killed while it made the buffer: the next one makes it, and finds no damage. */
static void a_buffer_that_was_not_finished_is_made(void **state)
{
    (void)state;
    for (int durability = DURABILITY_PROCESS; durability <= DURABILITY_POWER; durability++)
        for (int died = 1, write = 1; died; write++) {
            rig_make(NULL);
            struct store_options o = rig_options();
            o.durability = (enum durability)durability;
            pid_t pid = fork();
            int status;
            if (pid == 0) {
                dying_after = write;
                rig_open(&o);
                _exit(0);
            }
            waitpid(pid, &status, 0);
            died = WEXITSTATUS(status) == 9;
            struct store *store = rig_open(&o);
            assert_int_equal(store_count(store), 0);
            store_close(store);
            rig_remove(NULL);
        }
}

static void a_file_cut_short_is_damage(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 40);
    store_close(store);
    char path[128];
    snprintf(path, sizeof path, "%s/data.mdb", rig_dir);
    for (uint64_t bytes = data_bytes() - 4096; bytes > 4096 * 8; bytes = bytes / 8192 * 4096) {
        assert_int_equal(truncate(path, (off_t)bytes), 0);
        refuse(&o, ERR_CORRUPT, "damaged");
    }
}

static void a_foreign_file_is_damage(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    assert_ok(dir_make(rig_dir, 0700));
    write_boot("closed\n");
    char path[128], garbage[8192];
    for (size_t i = 0; i < sizeof garbage; i++) garbage[i] = (char)hash_u64(i);
    snprintf(path, sizeof path, "%s/data.mdb", rig_dir);
    assert_ok(file_replace(path, garbage, sizeof garbage));
    refuse(&o, ERR_CORRUPT, "");
    char aside[256];
    assert_ok(store_set_aside(rig_dir, aside, sizeof aside));
    /* Another program's LMDB environment, as good as any. */
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 2), 0);
    assert_int_equal(mdb_env_open(env, rig_dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "theirs", MDB_CREATE, &dbi), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    write_boot("closed\n");
    refuse(&o, ERR_CORRUPT, "another program");
}

/* Whatever is overwritten, this process lives, and either sees the damage or opens a buffer whose
 * slabs it can walk. With whole pages of the trees overwritten it must see it. */
static void damage_never_kills(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    o.size_bytes = 1 << 20;
    o.slab_bytes = 4096 - 16;
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 60);
    store_close(store);
    char path[128], *good;
    size_t bytes;
    snprintf(path, sizeof path, "%s/data.mdb", rig_dir);
    assert_ok(file_read(path, 1 << 24, &good, &bytes));
    struct rng rng;
    rng_seed(&rng, 1);
    int seen = 0;
    for (int i = 0; i < 150; i++) {
        assert_ok(file_replace(path, good, bytes));
        write_boot("closed\n");
        unsigned char junk[64];
        for (size_t j = 0; j < sizeof junk; j++) junk[j] = (unsigned char)rng_u64(&rng);
        uint64_t at = rng_below(&rng, bytes - sizeof junk);
        if (i % 2) at = at / 4096 * 4096 + rng_below(&rng, 40); /* the head of a page */
        poke(at, junk, sizeof junk);
        int result = store_open(&o, &store);
        if (result == ERR_OK)
            store_close(store);
        else
            seen++;
        if (result != ERR_OK && result != ERR_CORRUPT && result != ERR_VERSION &&
            result != ERR_MISMATCH && result != ERR_IO)
            fail_msg("%d: %s: %s", i, err_str(result), err_text());
    }
    assert_true(seen > 20);
    free(good);
}

/* The pages that LMDB goes to are beyond the file's end: the child dies of SIGBUS. */
static void a_child_that_dies_means_damage(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 40);
    store_close(store);
    char path[128];
    snprintf(path, sizeof path, "%s/data.mdb", rig_dir);
    assert_int_equal(truncate(path, 2 * 4096), 0);
    refuse(&o, ERR_CORRUPT, "died (");
}

/* A page that is in use and on the list of free ones: the next commit would write over it. */
static void a_free_page_that_is_in_use_is_damage(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 20);
    uint64_t ids[] = {4, 5}, id = 6, page, used;
    assert_ok(store_begin(store));
    assert_ok(store_free(store, ids, 2));
    assert_ok(store_commit(store));
    store_close(store);
    struct environment e;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key = {sizeof id, &id}, value;
    assert_ok(environment_open_reading(rig_dir, &e));
    assert_int_equal(mdb_txn_begin(e.env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_get(txn, e.slabs, &key, &value), 0);
    memcpy(&used, (char *)value.mv_data - LMDB_PAGE_HEADER_BYTES, sizeof used);
    assert_int_equal(mdb_cursor_open(txn, 0, &cursor), 0);
    assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_LAST), 0);
    size_t in_page = (uintptr_t)value.mv_data % 4096; /* a leaf begins with its page's number */
    memcpy(&page, (char *)value.mv_data - in_page, sizeof page);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    environment_close(&e);
    poke(page * 4096 + in_page + 8, &used, sizeof used);
    refuse(&o, ERR_CORRUPT, "used twice");
}

/* A tree whose format record is gone is no new buffer. */
static void a_lost_record_is_damage(void **state)
{
    (void)state;
    const char *keys[] = {"format", "state"};
    for (int i = 0; i < 2; i++) {
        struct store_options o = rig_options();
        struct environment e;
        MDB_txn *txn;
        MDB_val key = {strlen(keys[i]), (void *)keys[i]};
        struct store *store = rig_open(&o);
        rig_fill(store, &o, 0, 1, 4);
        store_close(store);
        assert_ok(environment_open_writing(rig_dir, o.size_bytes, DURABILITY_PROCESS, &e));
        assert_int_equal(mdb_txn_begin(e.env, NULL, 0, &txn), 0);
        assert_int_equal(mdb_del(txn, e.meta, &key, NULL), 0);
        assert_int_equal(mdb_txn_commit(txn), 0);
        environment_close(&e);
        refuse(&o, ERR_CORRUPT, "it lacks");
        char aside[256];
        assert_ok(store_set_aside(rig_dir, aside, sizeof aside));
    }
}

/* ---- checksums of what is no payload ---- */

struct opened {
    struct environment e;
    MDB_txn *txn;
};

static struct opened begin_changes(const struct store_options *o)
{
    struct opened x;
    assert_ok(environment_open_writing(rig_dir, o->size_bytes, DURABILITY_PROCESS, &x.e));
    assert_int_equal(mdb_txn_begin(x.e.env, NULL, 0, &x.txn), 0);
    return x;
}

static void end_changes(struct opened *x)
{
    assert_int_equal(mdb_txn_commit(x->txn), 0);
    environment_close(&x->e);
}

/* One byte of a value, kept in its place. */
static void change_byte(const struct store_options *o, int is_slab, MDB_val key, size_t at)
{
    struct opened x = begin_changes(o);
    MDB_dbi dbi = is_slab ? x.e.slabs : x.e.meta;
    MDB_val value;
    assert_int_equal(mdb_get(x.txn, dbi, &key, &value), 0);
    assert_true(at < value.mv_size);
    char *copy = malloc(value.mv_size);
    memcpy(copy, value.mv_data, value.mv_size);
    copy[at] ^= 1;
    value.mv_data = copy;
    assert_int_equal(mdb_put(x.txn, dbi, &key, &value, 0), 0);
    free(copy);
    end_changes(&x);
}

static void a_flipped_bit_of_any_record_is_damage(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        size_t bytes;
    } records[] = {{"format", sizeof(struct format_record)},
                   {"state", sizeof(struct state_record)},
                   {"producer/001", sizeof(struct store_producer)},
                   {"descriptor", 7}};
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    assert_ok(store_descriptor_put(store, "{ \"a\" }", 7));
    rig_fill(store, &o, 1, 1, 4);
    store_close(store);
    for (size_t i = 0; i < 4; i++)
        for (size_t at = 0; at < records[i].bytes + RECORD_SEAL_BYTES; at += 5) {
            MDB_val key = {strlen(records[i].key), (void *)records[i].key};
            change_byte(&o, 0, key, at);
            refuse(&o, ERR_CORRUPT, "checksum");
            change_byte(&o, 0, key, at);
        }
    store = rig_open(&o);
    assert_int_equal(store_count(store), 3);
    store_close(store);
}

static void a_flipped_bit_of_a_slabs_header_is_damage(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 4);
    store_close(store);
    uint64_t id = 2;
    MDB_val key = {sizeof id, &id};
    for (size_t at = 0; at < STORE_SLAB_HEADER_BYTES; at += 7) {
        change_byte(&o, 1, key, at);
        refuse(&o, ERR_CORRUPT, "slab 2 has a damaged header");
        change_byte(&o, 1, key, at);
    }
    store_close(rig_open(&o));
}

static void a_record_under_another_key_is_damage(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 4);
    store_close(store);
    static const char *const keys[] = {"producer/100", "qroducer/000"};
    for (int i = 0; i < 2; i++) {
        struct opened x = begin_changes(&o);
        MDB_val key = {12, "producer/000"}, to = {12, (void *)keys[i]}, value;
        char copy[1024];
        assert_int_equal(mdb_get(x.txn, x.e.meta, &key, &value), 0);
        memcpy(copy, value.mv_data, value.mv_size);
        value.mv_data = copy;
        assert_int_equal(mdb_put(x.txn, x.e.meta, &to, &value, 0), 0);
        end_changes(&x);
        refuse(&o, ERR_CORRUPT, i == 0 ? "checksum" : "nobody wrote");
        x = begin_changes(&o);
        assert_int_equal(mdb_del(x.txn, x.e.meta, &to, NULL), 0);
        end_changes(&x);
    }
    store_close(rig_open(&o));
}

/* As version 1 wrote them: no checksum behind a record or in a header. */
static void make_old(const struct store_options *o)
{
    static const char *const keys[] = {"format", "state", "descriptor", "producer/000"};
    struct opened x = begin_changes(o);
    char copy[16384];
    for (int i = 0; i < 4; i++) {
        MDB_val key = {strlen(keys[i]), (void *)keys[i]}, value;
        assert_int_equal(mdb_get(x.txn, x.e.meta, &key, &value), 0);
        memcpy(copy, value.mv_data, value.mv_size);
        if (i == 0) copy[offsetof(struct format_record, version)] = 1;
        value = (MDB_val){value.mv_size - RECORD_SEAL_BYTES, copy};
        assert_int_equal(mdb_put(x.txn, x.e.meta, &key, &value, 0), 0);
    }
    for (uint64_t id = 1; id <= 3; id++) {
        MDB_val key = {sizeof id, &id}, value;
        assert_int_equal(mdb_get(x.txn, x.e.slabs, &key, &value), 0);
        memcpy(copy, value.mv_data, value.mv_size);
        memset(copy + offsetof(struct slab_header, header_hash), 0, 8);
        value.mv_data = copy;
        assert_int_equal(mdb_put(x.txn, x.e.slabs, &key, &value, 0), 0);
    }
    end_changes(&x);
}

static void a_buffer_of_version_1_is_taken_over(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    char *text;
    size_t bytes;
    assert_ok(store_descriptor_put(store, "{}", 2));
    rig_fill(store, &o, 0, 1, 4);
    store_close(store);
    make_old(&o);
    for (int life = 0; life < 2; life++) {
        struct store_producer record;
        store = rig_open(&o);
        assert_int_equal(store_count(store), 3);
        assert_ok(store_producer_get(store, 0, &record));
        assert_int_equal(record.next_number, 4);
        assert_ok(store_descriptor_get(store, &text, &bytes));
        assert_string_equal(text, "{}");
        free(text);
        store_close(store);
    }
    change_byte(&o, 0, (MDB_val){12, "producer/000"}, 3); /* it has its checksum now */
    refuse(&o, ERR_CORRUPT, "checksum");
}

/* A tree that says another thing than the writer's index: no disk that might get better. */
static void a_tree_that_contradicts_the_writer_is_damage(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 4);
    MDB_txn *txn;
    uint64_t gone = 2, beyond = 1000;
    char *slab = calloc(1, store->format.slab_bytes);
    MDB_val key = {sizeof gone, &gone}, later = {sizeof beyond, &beyond};
    assert_int_equal(mdb_txn_begin(store->e.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_del(txn, store->e.slabs, &key, NULL), 0);
    MDB_val value = {store->format.slab_bytes, slab};
    assert_int_equal(mdb_put(txn, store->e.slabs, &later, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    assert_ok(store_begin(store));
    assert_int_equal(store_free(store, &gone, 1), ERR_CORRUPT);
    store_abort(store);
    uint64_t moved = 3, first = 1;
    MDB_val from = {sizeof first, &first}, to = {sizeof moved, &moved};
    assert_int_equal(mdb_txn_begin(store->e.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_get(txn, store->e.slabs, &from, &value), 0);
    memcpy(slab, value.mv_data, value.mv_size);
    value.mv_data = slab;
    assert_int_equal(mdb_put(txn, store->e.slabs, &to, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    assert_ok(store_begin(store));
    assert_int_equal(store_free(store, &moved, 1), ERR_CORRUPT);
    store_abort(store);
    assert_ok(store_begin(store));
    assert_int_equal(rig_put(store, &o, 0, 5, 0), ERR_CORRUPT);
    store_close(store);
    free(slab);
}

/* ---- reported, set aside, repaired ---- */

static void what_was_reported_is_not_opened_again(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    char aside[256], path[300];
    rig_fill(store, &o, 0, 1, 4);
    assert_ok(store_check(store));
    assert_ok(store_report(store, "main", "slab 2 is bad"));
    assert_int_equal(store_check(store), ERR_CORRUPT);
    store_close(store);
    refuse(&o, ERR_CORRUPT, "slab 2 is bad, as main found");
    assert_ok(store_set_aside(rig_dir, aside, sizeof aside));
    snprintf(path, sizeof path, "%s/damage", aside);
    assert_int_equal(access(path, R_OK), 0); /* so that one can see why */
    store = rig_open(&o);
    assert_ok(store_check(store));
    assert_int_equal(store_count(store), 0);
    store_close(store);
    /* One that was left behind means no buffer that comes after it. */
    assert_ok(damage_report(rig_dir, damage_inode(rig_dir), 0, "main", "bad"));
    snprintf(path, sizeof path, "%s/data.mdb", rig_dir);
    assert_int_equal(unlink(path), 0);
    refuse(&o, ERR_CORRUPT, "the data file in"); /* its table of readers is still there */
    snprintf(path, sizeof path, "%s/lock.mdb", rig_dir);
    assert_int_equal(unlink(path), 0);
    store = rig_open(&o);
    snprintf(path, sizeof path, "%s/damage", rig_dir);
    assert_int_not_equal(access(path, R_OK), 0);
    store_close(store);
}

static void repair_does_what_a_sink_would(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store_repair repair;
    assert_int_equal(store_repair(rig_dir, &repair), ERR_NOTFOUND);
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 21);
    assert_int_equal(store_repair(rig_dir, &repair), ERR_EXISTS);
    store_close(store);
    assert_ok(store_repair(rig_dir, &repair));
    assert_false(repair.was_set_aside);
    assert_int_equal(repair.slabs, 20);
    char byte = 0x55;
    poke(data_bytes() / 2 / 16384 * 16384 + 8000, &byte, 1);
    assert_ok(store_repair(rig_dir, &repair));
    assert_true(repair.was_set_aside);
    assert_non_null(strstr(repair.why, "1 of 20 slabs"));
    assert_int_equal(access(repair.where, R_OK), 0);
    assert_int_equal(store_repair(rig_dir, &repair), ERR_NOTFOUND);
    store = rig_open(&o);
    assert_int_equal(store_count(store), 0);
    assert_ok(store_report(store, "main", "slab 2 is bad")); /* what verifying cannot see */
    store_close(store);
    assert_ok(store_repair(rig_dir, &repair));
    assert_true(repair.was_set_aside);
    assert_non_null(strstr(repair.why, "slab 2 is bad"));
}

static void set_aside_keeps_the_consumers_and_what_was_there(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    store_close(rig_open(&o));
    struct consumer_state s = {.name = "main"};
    assert_ok(consumer_write(rig_dir, &s));
    char first[256], second[256], path[300];
    assert_ok(store_set_aside(rig_dir, first, sizeof first));
    store_close(rig_open(&o));
    assert_ok(store_set_aside(rig_dir, second, sizeof second));
    assert_string_not_equal(first, second);
    snprintf(path, sizeof path, "%s/data.mdb", first);
    assert_int_equal(access(path, R_OK), 0);
    snprintf(path, sizeof path, "%s/data.mdb", second);
    assert_int_equal(access(path, R_OK), 0);
    assert_ok(consumer_read(rig_dir, "main", &s));
    consumer_state_free(&s);
}

static void verify_finds_a_flipped_byte(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 21);
    store_close(store);
    uint64_t slabs, bad;
    assert_ok(store_verify(rig_dir, &slabs, &bad));
    assert_int_equal(slabs, 20);
    assert_int_equal(bad, 0);
    /* Somewhere in the middle of the file there is a slab's payload. */
    char byte = 0x55;
    poke(data_bytes() / 2 / 16384 * 16384 + 8000, &byte, 1);
    assert_ok(store_verify(rig_dir, &slabs, &bad));
    assert_int_equal(bad, 1);
}

/* ---- room ---- */

static void a_full_buffer_takes_no_more_until_some_is_freed(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    uint64_t capacity = store_capacity(store);
    rig_fill(store, &o, 0, 1, capacity + 1);
    assert_ok(store_begin(store));
    assert_int_equal(rig_put(store, &o, 0, capacity + 1, 0), ERR_NOSPC);
    uint64_t id = 5;
    assert_ok(store_free(store, &id, 1));
    assert_ok(rig_put(store, &o, 0, capacity + 1, 0));
    assert_int_equal(rig_put(store, &o, 0, capacity + 2, 0), ERR_NOSPC);
    assert_ok(store_commit(store));
    assert_int_equal(store_count(store), capacity);
    store_close(store);
}

/* Slabs freed in random order and replaced for a long time: the file keeps its cap, LMDB finds
 * whole runs of pages again, and no transaction fails. */
static void churn(uint64_t size_bytes, uint32_t slab_bytes, int rounds)
{
    struct store_options o = rig_options();
    o.size_bytes = size_bytes;
    o.slab_bytes = slab_bytes;
    struct store *store = rig_open(&o);
    uint64_t capacity = store_capacity(store), number = 1, refused = 0;
    struct rng rng;
    rng_seed(&rng, 9);
    rig_fill(store, &o, 0, 1, capacity + 1);
    number = capacity + 1;
    for (int round = 0; round < rounds; round++) {
        uint64_t ids[64], frees = rng_below(&rng, capacity / 8 < 64 ? capacity / 8 : 64);
        uint64_t stored = store_count(store), frees_done = 0;
        assert_ok(store_begin(store));
        for (; stored > 0 && frees_done < frees; frees_done++)
            ids[frees_done] = store_slab(store, rng_below(&rng, stored)).id;
        assert_ok(store_free(store, ids, frees_done));
        for (int i = 0; i < 16; i++) {
            uint32_t rows = rng_below(&rng, 10) == 0 ? 3 : 0; /* one in ten is short */
            int result = rig_put(store, &o, 0, number, rows);
            refused += result == ERR_AGAIN;
            if (result == ERR_AGAIN || result == ERR_NOSPC) break;
            assert_ok(result);
            number++;
        }
        assert_ok(store_commit(store));
        assert_true(data_bytes() <= size_bytes);
    }
    assert_true(number > (uint64_t)rounds * 2);
    assert_true(refused < (uint64_t)rounds);
    store_close(store);
    store_close(rig_open(&o)); /* its pages add up */
}

static void churn_keeps_the_cap(void **state)
{
    (void)state;
    churn(4 << 20, 4 * 4096 - 16, 1500);
}

static void churn_of_the_smallest_buffers_keeps_the_cap(void **state)
{
    (void)state;
    uint64_t size = 320 << 10;
    while (store_slab_capacity(size, 4096 - 16, RIG_WIDTH) < STORE_LEAST_SLABS) size += 4096;
    churn(size, 4096 - 16, 1500);
    rig_remove(NULL);
    rig_make(NULL);
    size = 2 << 20;
    while (store_slab_capacity(size, 16 * 4096 - 16, RIG_WIDTH) < STORE_LEAST_SLABS) size += 4096;
    churn(size, 16 * 4096 - 16, 1500);
}

/* A reader that is always in some transaction, for up to `hold_us` at a time. */
static pid_t slow_reader(unsigned hold_us)
{
    pid_t pid = fork();
    if (pid != 0) return pid;
    struct environment e;
    MDB_txn *txn;
    struct rng rng;
    rng_seed(&rng, 4);
    if (environment_open_reading(rig_dir, &e) != ERR_OK) _exit(1);
    if (mdb_txn_begin(e.env, NULL, MDB_RDONLY, &txn) != 0) _exit(1);
    for (;;) {
        usleep((useconds_t)rng_below(&rng, hold_us + 1));
        mdb_txn_reset(txn);
        if (mdb_txn_renew(txn) != 0) _exit(1);
    }
}

/* The smallest buffers, freed an eighth at a time at random, beside such a reader: puts may have to
 * wait, but LMDB never finds its map full in the midst of a transaction. */
static void a_slow_reader_spoils_no_transaction(void **state)
{
    (void)state;
    const unsigned pages[] = {1, 4, 16, 64}, hold_us[] = {0, 200, 2000};
    for (int i = 0; i < 12; i++) {
        rig_make(NULL);
        struct store_options o = rig_options();
        o.slab_bytes = pages[i / 3] * 4096 - 16;
        o.size_bytes = 64 << 10;
        while (store_slab_capacity(o.size_bytes, o.slab_bytes, RIG_WIDTH) < STORE_LEAST_SLABS)
            o.size_bytes += 4096;
        struct store *store = rig_open(&o);
        uint64_t capacity = store_capacity(store), number = 1;
        struct rng rng;
        rng_seed(&rng, 9);
        pid_t reader = slow_reader(hold_us[i % 3]);
        for (int round = 0; round < 500; round++) {
            assert_ok(store_begin(store));
            uint64_t stored = store_count(store);
            for (uint64_t n = 0; round % 4 == 0 && stored > 0 && n < capacity / 8; n++) {
                uint64_t id = store_slab(store, rng_below(&rng, stored)).id;
                assert_ok(store_free(store, &id, 1));
            }
            int result = ERR_OK;
            for (int n = 0; result == ERR_OK && n < 4; n++)
                if ((result = rig_put(store, &o, 0, number, 0)) == ERR_OK) number++;
            assert_true(result == ERR_OK || result == ERR_NOSPC || result == ERR_AGAIN);
            assert_false(store_is_spoilt(store));
            assert_ok(store_commit(store));
        }
        assert_true(number > 100);
        kill(reader, SIGKILL);
        waitpid(reader, NULL, 0);
        store_close(store);
        rig_remove(NULL);
    }
}

/* A reader that sits in a transaction pins what is freed: puts are refused, not failed; and when it
 * dies there, store_tick lets its pages go. */
static void a_reader_that_dies_in_a_transaction_pins_nothing_for_long(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    uint64_t capacity = store_capacity(store), number = capacity + 1;
    rig_fill(store, &o, 0, 1, capacity + 1);
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct environment e;
        MDB_txn *txn;
        int ok = environment_open_reading(rig_dir, &e) == ERR_OK &&
                 mdb_txn_begin(e.env, NULL, MDB_RDONLY, &txn) == 0;
        if (write(ready[1], ok ? "y" : "n", 1) == 1) pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    int result = ERR_OK;
    for (int round = 0; round < 40 && result == ERR_OK; round++) {
        uint64_t ids[4];
        for (int i = 0; i < 4; i++) ids[i] = store_slab(store, (uint64_t)i).id;
        assert_ok(store_begin(store));
        assert_ok(store_free(store, ids, 4));
        for (int i = 0; result == ERR_OK && i < 4; i++)
            if ((result = rig_put(store, &o, 0, number, 0)) == ERR_OK) number++;
        assert_ok(store_commit(store));
    }
    assert_int_equal(result, ERR_AGAIN);
    store_tick(store); /* the reader lives: nothing changes */
    assert_ok(store_begin(store));
    assert_int_equal(rig_put(store, &o, 0, number, 0), ERR_AGAIN);
    assert_ok(store_commit(store));
    assert_true(data_bytes() <= o.size_bytes);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    store_tick(store);
    assert_ok(store_begin(store));
    assert_ok(rig_put(store, &o, 0, number++, 0));
    assert_ok(store_commit(store));
    close(ready[0]);
    close(ready[1]);
    store_close(store);
}

/* ---- a disk that fails ---- */

static void assert_whole(struct store *store, const struct store_options *o, uint64_t slabs)
{
    struct store_producer record;
    struct slab_ref ref;
    assert_int_equal(store_count(store), slabs);
    assert_int_equal(store_state(store)->slabs, slabs);
    assert_ok(store_producer_get(store, 0, &record));
    assert_int_equal(record.next_number, slabs + 1);
    assert_ok(store_find(store, 0, slabs, &ref));
    rig_fill(store, o, 0, slabs + 1, slabs + 2);
    store_close(store);
    store = rig_open(o);
    assert_int_equal(store_count(store), slabs + 1);
    store_close(store);
}

static void a_failed_commit_leaves_the_store_usable(int number, uint64_t below, int code)
{
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 6);
    assert_ok(store_begin(store));
    uint64_t id = 2;
    assert_ok(store_free(store, &id, 1));
    assert_ok(rig_put(store, &o, 0, 6, 0));
    failing_errno = number;
    failing_below = below;
    int result = store_commit(store);
    failing_errno = 0;
    failing_below = UINT64_MAX;
    assert_int_equal(result, code);
    assert_whole(store, &o, 5);
}

static void a_full_disk_leaves_the_store_usable(void **state)
{
    (void)state;
    a_failed_commit_leaves_the_store_usable(ENOSPC, UINT64_MAX, ERR_NOSPC);
}

static void a_failed_meta_page_leaves_the_store_usable(void **state)
{
    (void)state;
    a_failed_commit_leaves_the_store_usable(EIO, 2 * 4096, ERR_IO);
}

/* The same by the system's own hand. */
static void a_file_that_may_not_grow_leaves_the_store_usable(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct store *store = rig_open(&o);
    rig_fill(store, &o, 0, 1, 6);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, tight;
    getrlimit(RLIMIT_FSIZE, &before);
    tight = before;
    tight.rlim_cur = data_bytes() + 20000;
    setrlimit(RLIMIT_FSIZE, &tight);
    assert_ok(store_begin(store));
    for (uint64_t n = 6; n < 16; n++) assert_ok(rig_put(store, &o, 0, n, 0));
    int result = store_commit(store);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_true(result == ERR_NOSPC || result == ERR_IO);
    assert_whole(store, &o, 5);
}

/* ---- kill -9 ---- */

/* Commits as fast as it can, frees at random, and says what is acked, after the commit. */
static void write_for_ever(const struct store_options *o, int out)
{
    struct store *store = rig_open(o);
    struct store_producer record = {.next_number = 1};
    struct rng rng;
    store_producer_get(store, 0, &record);
    uint64_t number = record.next_number;
    rng_seed(&rng, number);
    for (;;) {
        uint64_t ids[8], acked[2] = {0};
        assert_ok(store_begin(store));
        uint64_t count = store_count(store) > 120 ? 8 : 0;
        for (uint64_t i = 0; i < count; i++) ids[i] = store_slab(store, i).id;
        assert_ok(store_free(store, ids, count));
        uint64_t first = number;
        for (uint64_t i = rng_below(&rng, 6); i > 0; i--)
            if (rig_put(store, o, 0, number, 0) == ERR_OK) number++;
        if (store_is_spoilt(
                store)) { /* somebody who reads keeps its pages: as a sink, begin anew */
            store_abort(store);
            number = first;
            continue;
        }
        assert_ok(store_commit(store));
        acked[0] = number;                      /* all below are stored, */
        acked[1] = store_slab(store, 0).number; /* from this one on */
        if (write(out, acked, sizeof acked) != sizeof acked) _exit(1);
    }
}

static void what_was_acked_survives_kill_9(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    struct rng rng;
    rng_seed(&rng, 5);
    for (int life = 0; life < 25; life++) {
        int pipes[2];
        assert_int_equal(pipe(pipes), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(pipes[0]);
            write_for_ever(&o, pipes[1]);
        }
        close(pipes[1]);
        uint64_t acked[2] = {1, 1}, last[2];
        uint64_t lines = 1 + rng_below(&rng, 60);
        while (lines-- > 0 && read(pipes[0], last, sizeof last) == sizeof last)
            memcpy(acked, last, sizeof acked);
        usleep((useconds_t)rng_below(&rng, 500));
        kill(pid, SIGKILL);
        while (read(pipes[0], last, sizeof last) == sizeof last) memcpy(acked, last, sizeof acked);
        waitpid(pid, NULL, 0);
        close(pipes[0]);
        uint64_t slabs, bad;
        assert_ok(store_verify(rig_dir, &slabs, &bad));
        assert_int_equal(bad, 0);
        struct store *store = rig_open(&o);
        struct store_producer record = {0};
        store_producer_get(store, 0, &record);
        assert_true(record.next_number >= acked[0]);
        /* At most one more transaction was committed than acked: it freed 8 at most. */
        uint64_t lost = 0;
        struct slab_ref ref;
        for (uint64_t n = acked[1]; n < record.next_number; n++)
            lost += store_find(store, 0, n, &ref) != ERR_OK;
        assert_true(lost == 0 || lost == 8);
        assert_int_equal(slabs, store_count(store));
        store_close(store);
    }
}

/* The walk is of one snapshot, whatever a writer does meanwhile. */
static void a_buffer_is_verified_while_it_is_written(void **state)
{
    (void)state;
    struct store_options o = rig_options();
    int pipes[2];
    char byte;
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(pipes[0]);
        write_for_ever(&o, pipes[1]);
    }
    close(pipes[1]);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 60; i++) {
        char drain[4096];
        uint64_t slabs, bad;
        while (read(pipes[0], drain, sizeof drain) > 0) {
        }
        assert_ok(store_verify(rig_dir, &slabs, &bad));
        assert_int_equal(bad, 0);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(pipes[0]);
}

#define test(f) cmocka_unit_test_setup_teardown(f, rig_make, rig_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(what_is_committed_is_there_after_reopening),
        test(an_abort_undoes_puts_frees_and_records),
        test(ids_are_never_used_again),
        test(a_frame_is_stored_once),
        test(slabs_that_do_not_fit_the_buffer_are_refused),
        test(only_one_writes),
        test(a_child_does_not_keep_its_parents_lock),
        test(the_descriptor_is_committed_once),
        test(another_streams_buffer_is_refused),
        test(another_version_is_refused),
        test(a_buffer_that_is_too_small_says_how_large_it_must_be),
        test(slab_sizes_follow_the_buffer),
        test(a_buffer_in_use_when_the_machine_went_down_is_not_trusted),
        test(with_durability_power_no_close_is_needed),
        cmocka_unit_test(a_buffer_that_was_not_finished_is_made),
        test(a_file_cut_short_is_damage),
        test(a_foreign_file_is_damage),
        test(damage_never_kills),
        test(a_child_that_dies_means_damage),
        test(a_free_page_that_is_in_use_is_damage),
        test(a_lost_record_is_damage),
        test(a_flipped_bit_of_any_record_is_damage),
        test(a_flipped_bit_of_a_slabs_header_is_damage),
        test(a_record_under_another_key_is_damage),
        test(a_buffer_of_version_1_is_taken_over),
        test(a_tree_that_contradicts_the_writer_is_damage),
        test(what_was_reported_is_not_opened_again),
        test(repair_does_what_a_sink_would),
        test(set_aside_keeps_the_consumers_and_what_was_there),
        test(verify_finds_a_flipped_byte),
        test(a_full_buffer_takes_no_more_until_some_is_freed),
        test(churn_keeps_the_cap),
        test(churn_of_the_smallest_buffers_keeps_the_cap),
        cmocka_unit_test(a_slow_reader_spoils_no_transaction),
        test(a_reader_that_dies_in_a_transaction_pins_nothing_for_long),
        test(a_full_disk_leaves_the_store_usable),
        test(a_failed_meta_page_leaves_the_store_usable),
        test(a_file_that_may_not_grow_leaves_the_store_usable),
        test(what_was_acked_survives_kill_9),
        test(a_buffer_is_verified_while_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
