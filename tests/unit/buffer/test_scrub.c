/* What was freed is in no byte of the file, and whoever may still read it reads it as it was. */
#include "tests/unit/buffer/rig.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "buffer/environment.h"

enum { PRODUCERS = 1, STORM_LIVES = 60, STORM_STEPS = 12 };

static int dying_after;  /* 0: never; else at this write the process dies, half way in it */
static int dies_at_meta; /* 1: at the write that would make a commit good */

static void die_if_due(int fd, const void *data, size_t bytes, off_t offset)
{
    int is_meta = offset >= 0 && offset < 2 * 4096;
    if ((dying_after == 0 || --dying_after > 0) && !(dies_at_meta && is_meta)) return;
    if (offset >= 0) syscall(SYS_pwrite64, fd, data, is_meta ? 0 : bytes / 2, offset);
    raise(SIGKILL);
}

/* LMDB's writes and ours go through these, since the executable's own functions come first. */
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    die_if_due(fd, data, bytes, offset);
    return syscall(SYS_pwrite64, fd, data, bytes, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    die_if_due(fd, NULL, 0, -1);
    return syscall(SYS_writev, fd, parts, count);
}

static struct store_options scrubbing(enum durability durability)
{
    struct store_options o = rig_options();
    o.durability = durability;
    o.scrubs = 1;
    return o;
}

static char *file_bytes(size_t *bytes)
{
    char path[128], *data;
    snprintf(path, sizeof path, "%s/data.mdb", rig_dir);
    assert_ok(file_read(path, 1 << 26, &data, bytes));
    return data;
}

/* ---- what of which frame lies in the file ---- */

enum { KEY_VALUES = 4, TABLE = 1 << 20 };

static uint64_t table_key[TABLE]; /* of a row's first values; 0: none */
static uint32_t table_frame[TABLE];

static uint64_t key_of(const void *values)
{
    uint64_t key = XXH3_64bits(values, KEY_VALUES * sizeof(float));
    return key ? key : 1;
}

static uint32_t frame_of_values(const void *values)
{
    uint64_t key = key_of(values);
    size_t i = key % TABLE;
    while (table_key[i] && table_key[i] != key) i = (i + 1) % TABLE;
    return table_key[i] ? table_frame[i] : 0;
}

static void know_rows(uint32_t frames, uint32_t rows)
{
    memset(table_key, 0, sizeof table_key);
    assert_true(frames * (uint64_t)rows < TABLE / 2);
    for (uint64_t r = 0; r < frames * (uint64_t)rows; r++) {
        float values[KEY_VALUES];
        for (uint32_t d = 0; d < KEY_VALUES; d++) values[d] = rig_value(rig_id(0, r), d);
        size_t i = key_of(values) % TABLE;
        while (table_key[i]) i = (i + 1) % TABLE;
        table_key[i] = key_of(values);
        table_frame[i] = (uint32_t)(r / rows) + 1;
    }
}

/* The frame of which a row's identity lies here, 0: none. */
static uint32_t frame_of_identity(const char *at, uint32_t rows)
{
    struct row_id id;
    memcpy(&id, at, sizeof id);
    if (id.sequence % 16 != 0 || id.position >= rig_sequence_rows) return 0;
    uint64_t r = id.sequence / 16 * rig_sequence_rows + id.position;
    return rig_id(0, r).token == id.token ? (uint32_t)(r / rows) + 1 : 0;
}

/* found[n]: rows of frame n < frames of which identity or values lie somewhere in the file. */
static void look_for_all(uint32_t frames, uint32_t rows, uint32_t *found)
{
    size_t bytes;
    char *data = file_bytes(&bytes);
    know_rows(frames, rows);
    memset(found, 0, frames * sizeof *found);
    for (size_t at = 0; at + 16 <= bytes; at += 4) {
        uint32_t by_values = frame_of_values(data + at);
        uint32_t by_identity = frame_of_identity(data + at, rows);
        if (by_values && by_values < frames) found[by_values]++;
        if (by_identity && by_identity < frames) found[by_identity]++;
    }
    free(data);
}

enum { FEW_FRAMES = 48 };

static uint32_t look_for(uint32_t frame, uint32_t rows)
{
    uint32_t found[FEW_FRAMES];
    look_for_all(FEW_FRAMES, rows, found);
    return found[frame];
}

/* Frames [1, gone) are nowhere, [gone, end) are whole. */
static void assert_gone(uint32_t gone, uint32_t end, uint32_t rows)
{
    uint32_t found[FEW_FRAMES];
    look_for_all(FEW_FRAMES, rows, found);
    for (uint32_t n = 1; n < gone; n++)
        if (found[n]) fail_msg("%u traces of rows of frame %u are left", found[n], n);
    for (uint32_t n = gone; n < end; n++) assert_int_equal(found[n], 2 * rows);
}

static void free_oldest(struct store *store, uint64_t count)
{
    uint64_t ids[64];
    for (uint64_t i = 0; i < count; i++) ids[i] = store_slab(store, i).id;
    assert_ok(store_begin(store));
    assert_ok(store_free(store, ids, count));
    assert_ok(store_commit(store));
}

/* As a sink does, until nothing waits, or only for readers. */
static struct store_scrub scrub_all(struct store *store)
{
    struct store_scrub scrub;
    for (int i = 0; i < 100; i++) {
        assert_ok(store_scrub(store, 1000, &scrub));
        if (!scrub.wants_commit) break;
        rig_state(store, PRODUCERS, 1, 0);
    }
    return scrub;
}

static void freed_rows_are_in_no_byte_of_the_file(void **state)
{
    (void)state;
    for (int durability = DURABILITY_PROCESS; durability <= DURABILITY_POWER; durability++) {
        struct store_options o = scrubbing((enum durability)durability);
        struct store *store = rig_open(&o);
        uint32_t rows = rig_rows(store);
        uint64_t slabs, bad;
        rig_fill(store, &o, 0, 1, 21);
        assert_gone(1, 21, rows);
        free_oldest(store, 10);
        assert_true(look_for(3, rows) > 0); /* LMDB leaves them where they were */
        struct store_scrub scrub = scrub_all(store);
        assert_int_equal(scrub.oldest_ns, 0);
        assert_int_equal(scrub.waiting_pages, 0);
        assert_gone(11, 21, rows);
        rig_fill(store, &o, 0, 21, 31); /* into the same pages */
        free_oldest(store, 15);
        scrub_all(store);
        assert_gone(26, 31, rows);
        assert_ok(store_verify(rig_dir, &slabs, &bad));
        assert_int_equal(slabs, 5);
        assert_int_equal(bad, 0);
        store_close(store);
        assert_int_equal(dir_remove(rig_dir), ERR_OK);
    }
}

/* Slabs were freed; what comes next comes to nothing, once or often, and then nothing comes. */
static void what_comes_to_nothing_hides_no_freed_rows(void **state)
{
    (void)state;
    static const int aborted[] = {1, 100};
    for (size_t i = 0; i < 2; i++) {
        struct store_options o = scrubbing(DURABILITY_PROCESS);
        struct store *store = rig_open(&o);
        uint32_t rows = rig_rows(store);
        rig_fill(store, &o, 0, 1, 21);
        scrub_all(store);
        free_oldest(store, 10);
        for (int n = 0; n < aborted[i]; n++) {
            assert_ok(store_begin(store));
            rig_put(store, &o, 0, 21, 0);
            store_abort(store);
        }
        assert_int_equal(scrub_all(store).oldest_ns, 0);
        assert_gone(11, 21, rows);
        store_close(store);
        assert_int_equal(dir_remove(rig_dir), ERR_OK);
    }
}

static int64_t disk_blocks(void)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/data.mdb", rig_dir);
    assert_int_equal(stat(path, &st), 0);
    return (int64_t)st.st_blocks;
}

/* Where nothing more comes, freed pages take no room either (on a file system that has holes). */
static void at_the_end_pages_are_given_back(void **state)
{
    (void)state;
    struct store_options o = scrubbing(DURABILITY_PROCESS);
    struct store *store = rig_open(&o);
    uint32_t rows = rig_rows(store);
    uint64_t slabs, bad;
    rig_fill(store, &o, 0, 1, 21);
    scrub_all(store);
    int64_t before = disk_blocks();
    store_scrub_at_end(store);
    free_oldest(store, 18);
    scrub_all(store);
    assert_gone(19, 21, rows);
    assert_true(disk_blocks() < before);
    assert_ok(store_verify(rig_dir, &slabs, &bad));
    assert_int_equal(slabs, 2);
    rig_fill(store, &o, 0, 21, 31); /* and could be written again */
    assert_ok(store_verify(rig_dir, &slabs, &bad));
    assert_int_equal(slabs + 100 * bad, 12);
    store_close(store);
}

static void one_that_was_opened_without_is_made_good(void **state)
{
    (void)state;
    struct store_options o = scrubbing(DURABILITY_PROCESS), plain = rig_options();
    struct store *store = rig_open(&plain);
    uint32_t rows = rig_rows(store);
    rig_fill(store, &o, 0, 1, 9);
    free_oldest(store, 8);
    store_close(store);
    assert_true(look_for(2, rows) > 0);
    store = rig_open(&o);
    scrub_all(store);
    assert_gone(9, 9, rows);
    store_close(store);
}

static void what_lies_behind_the_last_page_goes_too(void **state)
{
    (void)state;
    struct store_options o = scrubbing(DURABILITY_PROCESS);
    struct store *store = rig_open(&o);
    uint32_t rows = rig_rows(store);
    store_close(store);
    pid_t child = fork();
    if (child == 0) { /* dies in the commit, with slabs written and no word of them */
        store = rig_open(&o);
        assert_ok(store_begin(store));
        for (uint64_t n = 1; n <= 4; n++) rig_put(store, &o, 0, n, 0);
        dies_at_meta = 1;
        store_commit(store);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_gone(1, 5, rows); /* all of them are in the file */
    store = rig_open(&o);
    assert_int_equal(store_count(store), 0);
    scrub_all(store);
    assert_gone(5, 5, rows);
    store_close(store);
}

/* ---- a reader in an old snapshot ---- */

static struct {
    int to_reader[2], from_reader[2];
} talk;

static void tell(int fd)
{
    assert_int_equal(write(fd, "x", 1), 1);
}

static void await(int fd)
{
    char x;
    assert_int_equal(read(fd, &x, 1), 1);
}

/* Reads every slab twice, long apart, in one transaction. */
static int read_old_snapshot(void)
{
    struct environment e;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    int differ = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (environment_open_reading(rig_dir, &e) != ERR_OK) return 1;
    if (mdb_txn_begin(e.env, NULL, MDB_RDONLY, &txn) != 0) return 2;
    if (mdb_cursor_open(txn, e.slabs, &cursor) != 0) return 3;
    tell(talk.from_reader[1]);
    await(talk.to_reader[0]);
    int slabs = 0;
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        struct slab_header h;
        memcpy(&h, value.mv_data, sizeof h);
        const char *raw = (const char *)value.mv_data + sizeof h;
        differ |= h.raw_bytes == 0 || XXH3_64bits(raw, h.raw_bytes) != h.raw_hash;
        slabs++;
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    environment_close(&e);
    return differ ? 4 : slabs == 20 ? 0 : 5;
}

static void a_reader_of_an_old_snapshot_sees_its_rows(void **state)
{
    (void)state;
    struct store_options o = scrubbing(DURABILITY_PROCESS);
    struct store *store = rig_open(&o);
    uint32_t rows = rig_rows(store);
    rig_fill(store, &o, 0, 1, 21);
    scrub_all(store);
    assert_int_equal(pipe(talk.to_reader), 0);
    assert_int_equal(pipe(talk.from_reader), 0);
    pid_t child = fork();
    if (child == 0) _exit(read_old_snapshot());
    await(talk.from_reader[0]);
    free_oldest(store, 10);
    struct store_scrub scrub = {0};
    for (uint64_t i = 0; i < 10; i++) { /* however often */
        rig_state(store, PRODUCERS, i & 1, 0);
        assert_ok(store_scrub(store, 1000 + i, &scrub));
    }
    tell(talk.to_reader[1]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(scrub.waiting_pages >= 10 * 4); /* and it was told that they waited */
    assert_true(scrub.oldest_ns > 0);
    assert_int_equal(scrub.wants_commit, 0);
    store_tick(store);
    scrub = scrub_all(store);
    assert_int_equal(scrub.waiting_pages, 0);
    assert_gone(11, 21, rows);
    store_close(store);
}

/* ---- a writer that dies at any write ---- */

static void storm_life(const struct store_options *o, struct rng *rng)
{
    struct store *store = rig_open(o);
    struct store_scrub scrub;
    struct store_producer record = {.next_number = 1};
    store_producer_get(store, 0, &record);
    uint64_t next = record.next_number;
    dying_after = 1 + (int)rng_below(rng, 120);
    for (int i = 0; i < STORM_STEPS; i++) {
        uint64_t puts = 1 + rng_below(rng, 4), count = store_count(store);
        assert_ok(store_begin(store));
        for (uint64_t n = 0; n < puts; n++)
            if (rig_put(store, o, 0, next, 0) == ERR_OK) next++;
        assert_ok(store_commit(store));
        if (count > 12) free_oldest(store, 1 + rng_below(rng, 10));
        assert_ok(store_scrub(store, (uint64_t)i, &scrub));
    }
    store_close(store);
    _exit(0);
}

static void whatever_it_dies_of_nothing_is_lost_or_left(void **state)
{
    (void)state;
    for (int durability = DURABILITY_PROCESS; durability <= DURABILITY_POWER; durability++) {
        struct store_options o = scrubbing((enum durability)durability);
        struct rng rng;
        rng_seed(&rng, 7);
        for (int life = 0; life < STORM_LIVES; life++) {
            uint64_t slabs, bad, seed = rng_u64(&rng);
            pid_t child = fork();
            if (child == 0) {
                rng_seed(&rng, seed);
                storm_life(&o, &rng);
            }
            int status;
            assert_int_equal(waitpid(child, &status, 0), child);
            if (life == 0 && access(rig_dir, F_OK) != 0) continue;
            int result = store_verify(rig_dir, &slabs, &bad);
            if (result == ERR_NOTFOUND) continue;
            assert_ok(result);
            assert_int_equal(bad, 0);
        }
        struct store *store = rig_open(&o);
        uint32_t rows = rig_rows(store);
        struct store_producer record;
        assert_ok(store_producer_get(store, 0, &record));
        scrub_all(store);
        uint32_t frames = (uint32_t)record.next_number + 4;
        uint32_t *found = malloc(frames * sizeof *found);
        look_for_all(frames, rows, found);
        for (uint32_t n = 1; n < frames; n++) {
            struct slab_ref ref;
            int is_stored = store_find(store, 0, n, &ref) == ERR_OK;
            assert_int_equal(found[n], is_stored ? 2 * rows : 0);
        }
        free(found);
        store_close(store);
        assert_int_equal(dir_remove(rig_dir), ERR_OK);
    }
}

static void slabs_of_one_page_are_refused(void **state)
{
    (void)state;
    struct store_options o = scrubbing(DURABILITY_PROCESS);
    struct store *store;
    o.slab_bytes = 4096 - 16;
    assert_int_equal(store_open(&o, &store), ERR_USAGE);
    assert_non_null(strstr(err_text(), "HINT"));
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(freed_rows_are_in_no_byte_of_the_file, rig_make,
                                        rig_remove),
        cmocka_unit_test_setup_teardown(what_comes_to_nothing_hides_no_freed_rows, rig_make,
                                        rig_remove),
        cmocka_unit_test_setup_teardown(at_the_end_pages_are_given_back, rig_make, rig_remove),
        cmocka_unit_test_setup_teardown(one_that_was_opened_without_is_made_good, rig_make,
                                        rig_remove),
        cmocka_unit_test_setup_teardown(what_lies_behind_the_last_page_goes_too, rig_make,
                                        rig_remove),
        cmocka_unit_test_setup_teardown(a_reader_of_an_old_snapshot_sees_its_rows, rig_make,
                                        rig_remove),
        cmocka_unit_test_setup_teardown(whatever_it_dies_of_nothing_is_lost_or_left, rig_make,
                                        rig_remove),
        cmocka_unit_test_setup_teardown(slabs_of_one_page_are_refused, rig_make, rig_remove),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
