/*
 * The buffer is damaged under a running pipeline, in one way after another, and nobody is there to
 * help: it is set aside, what is still needed is made again, and each row was trained on exactly
 * `reuse` times.
 *
 * The trainer is held while the bytes are changed, so that nobody has looked at them yet.
 */
#include "base/fileio.h"
#include "buffer/consumer.h"
#include "buffer/environment.h"
#include "tests/e2e/harness.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ASIDE "buffer.damaged-1/data.mdb"

enum { PAGE = BUFFER_PAGE_BYTES, HEAD = LMDB_PAGE_HEADER_BYTES };

struct stream {
    unsigned rows, producers;
    const char *consumers, *size, *more;
    unsigned checkpoint_seconds;
};
static const struct stream running = {400000, 1, "main", "32MiB", "", 1};

static void configure(struct run *run, const struct stream *s)
{
    char text[2048];
    snprintf(text, sizeof text,
             "capture:\n"
             "  engine: synthetic\n"
             "  producers: %u\n"
             "  measure_contexts: 4\n"
             "  synthetic: { features: 64, width: 64, l0: 4, rows: %u, sequence_rows: 64 }\n"
             "sink: { size: %s }\n"
             "trainer:\n"
             "  consumers: [%s]\n"
             "  reuse: 2\n"
             "  batch_rows: 256\n"
             "  min_rows: 5000\n"
             "  checkpoint_seconds: %u\n"
             "  eval_rows: 2000\n"
             "%s"
             "  saes: [ { name: rows, arch: count } ]\n",
             s->producers, s->rows, s->size, s->consumers, s->checkpoint_seconds, s->more);
    run_configure(run, "", text);
}

/* ---- the data file, as it lies on the disk ---- */

struct data {
    char path[HARNESS_PATH_BYTES + 64];
    int fd;
    uint8_t *bytes; /* a copy */
    size_t size;
};

static int is_there(const struct run *run, const char *below)
{
    char path[HARNESS_PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", run->state, below);
    return access(path, R_OK) == 0;
}

static struct data data_open(const struct run *run)
{
    struct data d = {.fd = -1};
    struct stat st;
    snprintf(d.path, sizeof d.path, "%s/buffer/data.mdb", run->state);
    d.fd = open(d.path, O_RDWR | O_CLOEXEC);
    assert_true(d.fd >= 0);
    assert_int_equal(fstat(d.fd, &st), 0);
    d.size = (size_t)st.st_size;
    d.bytes = malloc(d.size);
    assert_int_equal(pread(d.fd, d.bytes, d.size, 0), d.size);
    return d;
}

static void data_close(struct data *d)
{
    free(d->bytes);
    close(d->fd);
}

static void flip(const struct data *d, size_t at)
{
    uint8_t byte = d->bytes[at] ^ 4;
    assert_int_equal(pwrite(d->fd, &byte, 1, (off_t)at), 1);
}

/* Where the value of the slab begins that was stored last, and its number (0: none is stored). It
 * cannot have been freed yet. */
static size_t newest_slab_of(const struct data *d, uint64_t *id)
{
    size_t found = 0;
    *id = 0;
    for (size_t at = HEAD; at + sizeof(struct slab_header) < d->size; at += PAGE) {
        struct slab_header h;
        memcpy(&h, d->bytes + at, sizeof h);
        if (h.magic_version != SLAB_MAGIC_VERSION || h.id <= *id) continue;
        *id = h.id;
        found = at;
    }
    return found;
}

static size_t newest_slab(const struct data *d)
{
    uint64_t id;
    return newest_slab_of(d, &id);
}

static uint64_t newest_id(const struct run *run)
{
    uint64_t id;
    if (!is_there(run, "buffer/data.mdb")) return 0;
    struct data d = data_open(run);
    newest_slab_of(&d, &id);
    data_close(&d);
    return id;
}

/* Wait until the buffer is full, or all is in it; the number of the slab that came last. */
static uint64_t await_quiet(const struct run *run)
{
    double until = harness_seconds() + 120;
    uint64_t last = 0;
    for (int same = 0; same < 20; harness_sleep(0.1)) {
        if (harness_seconds() > until) fail_msg("the buffer does not fill");
        uint64_t newest = newest_id(run);
        same = newest && newest == last ? same + 1 : 0;
        last = newest;
    }
    return last;
}

/* Wait until so many have been stored. */
static void await_slabs(const struct run *run, uint64_t count)
{
    for (double until = harness_seconds() + 120; newest_id(run) < count; harness_sleep(0.01))
        if (harness_seconds() > until) fail_msg("nothing comes into the buffer");
}

/* Every copy of a record, the present one among them. */
static void flip_records(const struct data *d, const void *key, size_t bytes, size_t at)
{
    int found = 0;
    for (size_t i = 0; i + bytes + at < d->size; i++) {
        if (memcmp(d->bytes + i, key, bytes) != 0) continue;
        flip(d, i + bytes + at);
        found++;
    }
    assert_true(found > 0);
}

/* ---- kinds of damage ---- */

static void a_bit_of_a_slabs_values(const struct run *run)
{
    struct data d = data_open(run);
    size_t slab = newest_slab(&d);
    struct slab_header h;
    memcpy(&h, d.bytes + slab, sizeof h);
    flip(&d, slab + STORE_SLAB_HEADER_BYTES + h.raw_bytes - 100);
    data_close(&d);
}

static void a_bit_of_a_slabs_identities(const struct run *run)
{
    struct data d = data_open(run);
    flip(&d, newest_slab(&d) + STORE_SLAB_HEADER_BYTES + 40);
    data_close(&d);
}

static void a_bit_of_a_slabs_cursor(const struct run *run)
{
    struct data d = data_open(run);
    flip(&d, newest_slab(&d) + offsetof(struct slab_header, begin));
    data_close(&d);
}

static void a_bit_of_the_state(const struct run *run)
{
    struct data d = data_open(run);
    static const char magic[] = "SLUBUFF\n";
    uint8_t *format = memmem(d.bytes, d.size, magic, sizeof magic - 1), key[5 + 8];
    assert_non_null(format);
    memcpy(key, "state", 5);
    memcpy(key + 5, format + offsetof(struct format_record, run), 8);
    flip_records(&d, key, sizeof key, offsetof(struct store_state, ended) - 8);
    data_close(&d);
}

static void a_bit_of_a_producers_record(const struct run *run)
{
    struct data d = data_open(run);
    flip_records(&d, "producer/000", 12, 0);
    data_close(&d);
}

/* Leaves whose nodes have keys of 8 bytes and values elsewhere: where each slab lies is changed. */
static void the_tree_of_slabs(const struct run *run)
{
    struct data d = data_open(run);
    int found = 0;
    for (size_t page = 2 * PAGE; page + PAGE <= d.size; page += PAGE) {
        uint16_t flags, lower, at, node[4];
        memcpy(&flags, d.bytes + page + 10, 2);
        memcpy(&lower, d.bytes + page + 12, 2);
        for (size_t i = HEAD; flags == 2 && i + 2 <= lower && lower <= PAGE; i += 2) {
            memcpy(&at, d.bytes + page + i, 2);
            if (at < HEAD || at + 24 > PAGE) break;
            memcpy(node, d.bytes + page + at, 8); /* size (two), flags, bytes of the key */
            if (node[2] != 1 || node[3] != 8) break;
            flip(&d, page + at + 16);
            found++;
        }
    }
    assert_true(found > 0);
    data_close(&d);
}

static void both_meta_pages(const struct run *run)
{
    struct data d = data_open(run);
    uint8_t junk[2 * PAGE];
    memset(junk, 0x5a, sizeof junk);
    assert_int_equal(pwrite(d.fd, junk, sizeof junk, 0), sizeof junk);
    data_close(&d);
}

static void cut_short(const struct run *run)
{
    struct data d = data_open(run);
    assert_int_equal(ftruncate(d.fd, (off_t)(d.size / 2 / PAGE * PAGE)), 0);
    data_close(&d);
    run_kill(run, "sink"); /* a running one may have nothing to read there, for long */
}

static void the_boot_file(const struct run *run)
{
    char path[HARNESS_PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/buffer/boot", run->state);
    run_kill(run, "sink");
    assert_int_equal(file_replace(path, "?", 1), 0);
}

static void place(const struct run *run, char *path, size_t bytes)
{
    snprintf(path, bytes, "%s/buffer/CONSUMERS/main.state", run->state);
}

static void the_consumers_place(const struct run *run)
{
    char path[HARNESS_PATH_BYTES + 64];
    place(run, path, sizeof path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "?", 1, 30), 1);
    close(fd);
    run_kill(run, "sink");
}

static void the_place_and_the_buffer(const struct run *run)
{
    both_meta_pages(run);
    the_consumers_place(run);
    run_kill(run, "trainer-main");
}

/* ---- the runs ---- */

static void fail_with_logs(const struct run *run, const char *what)
{
    size_t bytes;
    char *trainer = run_text(run, "log/trainer-main.log", &bytes);
    char *sink = run_text(run, "log/sink.log", &bytes);
    print_message("%s\n%s\n", trainer ? trainer : "", sink ? sink : "");
    fail_msg("%s", what);
}

static void await_aside(const struct run *run)
{
    for (double until = harness_seconds() + 120; !is_there(run, ASIDE); harness_sleep(0.01))
        if (harness_seconds() > until) fail_with_logs(run, "nothing was set aside");
}

/* It may be through. */
static void signal_capture(const struct run *run, int signal)
{
    pid_t capture = run_process(run, "capture-0");
    if (capture > 0) kill(capture, signal);
}

/* From the start, or once it has drawn a few rows. What came last into the buffer came while it was
 * held, so that it has not seen it: a buffer that was full before is let run on a little, and longer
 * where nothing was freed by that. While the trainer is at work the capture is held, so that rows are
 * left to come, and till then the trainer is. */
static pid_t hold_trainer(struct run *run, uint64_t drawn)
{
    run_hold(run, "trainer-main");
    pid_t trainer = run_process(run, "trainer-main");
    if (drawn) {
        await_slabs(run, 20);
        signal_capture(run, SIGSTOP);
        kill(trainer, SIGCONT);
        run_await_drawn(run, "main", drawn, 120);
    }
    double until = harness_seconds() + 120, seconds = 0.05;
    for (; harness_seconds() < until; harness_sleep(seconds), seconds = fmin(2 * seconds, 1)) {
        kill(trainer, SIGSTOP);
        uint64_t before = newest_id(run);
        signal_capture(run, SIGCONT);
        if (await_quiet(run) > before) return trainer;
        signal_capture(run, SIGSTOP);
        kill(trainer, SIGCONT);
    }
    fail_with_logs(run, "nothing comes into the buffer while the trainer is held");
    return 0;
}

static void let_go(struct run *run, pid_t up)
{
    pid_t trainer = run_process(run, "trainer-main");
    if (trainer > 0) kill(trainer, SIGCONT);
    signal_capture(run, SIGCONT);
    if (run_wait(up, 180) != 0) fail_with_logs(run, "sluice up failed");
}

struct row {
    const char *name;
    void (*damage)(const struct run *run);
    const struct stream *stream;
    int is_the_buffers; /* it is set aside */
    int kills;          /* processes may die of it, or are killed */
    int from_start;     /* the trainer is held before it has seen the buffer */
};

static const struct stream ended = {150000, 1, "main", "32MiB", "", 1};
static const struct stream two = {400000, 2, "main, other", "32MiB", "", 1};

/* Nothing but its own look brings a trainer to write its place again. */
static const struct stream rare = {400000, 1, "main", "32MiB", "", 600};

static const struct row rows[] = {
    {"values", a_bit_of_a_slabs_values, &running, 1, 0, 0},
    {"identities", a_bit_of_a_slabs_identities, &running, 1, 0, 0},
    {"cursor", a_bit_of_a_slabs_cursor, &running, 1, 0, 0},
    {"state", a_bit_of_the_state, &running, 1, 0, 0},
    {"record", a_bit_of_a_producers_record, &running, 1, 0, 0},
    {"tree", the_tree_of_slabs, &running, 1, 1, 0},
    {"meta", both_meta_pages, &running, 1, 1, 0},
    {"short", cut_short, &running, 1, 1, 0},
    {"boot", the_boot_file, &running, 1, 1, 0},
    {"place", the_consumers_place, &rare, 0, 1, 0},
    {"both", the_place_and_the_buffer, &running, 1, 1, 0},
    {"ended", a_bit_of_a_slabs_values, &ended, 1, 0, 1},
    {"two", a_bit_of_a_slabs_values, &two, 1, 0, 1},
};

static void one_row(struct run *run, const struct row *row)
{
    configure(run, row->stream);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    pid_t trainer = hold_trainer(run, row->from_start ? 0 : 2000);
    pid_t sink = run_process(run, "sink");
    row->damage(run);
    if (!row->kills) { /* the same processes go on */
        kill(trainer, SIGCONT);
        await_aside(run);
        if (run_process(run, "trainer-main") != trainer || run_process(run, "sink") != sink)
            fail_with_logs(run, "a process has died");
    }
    let_go(run, up);
    if (is_there(run, ASIDE) != row->is_the_buffers) fail_with_logs(run, "set aside, or not");
    assert_true(run_counts_are(run, "main", row->stream->rows, 2));
    if (row->stream == &two) assert_true(run_counts_are(run, "other", two.rows, 2));
}

static void damage_is_made_good(void **state)
{
    struct run *run = *state;
    const char *only = getenv("SLUICE_TEST_ROW");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (only && strcmp(only, rows[i].name) != 0) continue;
        print_message("%s\n", rows[i].name);
        one_row(run, &rows[i]);
        run_remove(run);
        run_make(run);
    }
}

static size_t size_of(const char *text, const char *part)
{
    const char *at = strstr(text, part);
    return at ? (size_t)(at - text) : SIZE_MAX;
}

/* The covariance to whiten by is measured ahead of all else, by a reader of its own. */
static void the_reader_that_whitens_finds_it(void **state)
{
    static const struct stream whitened = {150000, 1, "main", "32MiB", "  whiten: true\n", 1};
    struct run *run = *state;
    size_t bytes;
    configure(run, &whitened);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    pid_t trainer = hold_trainer(run, 0);
    struct data d = data_open(run);
    for (size_t at = HEAD; at + sizeof(struct slab_header) < d.size; at += PAGE)
        if (memcmp(d.bytes + at, &(uint64_t){SLAB_MAGIC_VERSION}, 8) == 0)
            flip(&d, at + STORE_SLAB_HEADER_BYTES + 40);
    data_close(&d);
    kill(trainer, SIGCONT);
    await_aside(run);
    assert_int_equal(run_process(run, "trainer-main"), trainer);
    let_go(run, up);
    char *log = run_text(run, "log/trainer-main.log", &bytes);
    if (size_of(log, "the buffer is damaged") > size_of(log, "msg=training")) fail_msg("%s", log);
    free(log);
    assert_true(run_counts_are(run, "main", whitened.rows, 2));
}

static int buffer_command(struct run *run, const char *what)
{
    return run_command(run, 60, "sluice", "buffer", what, run->config, NULL);
}

/* `verify` is a reader as well: what it finds the sink sets aside, also where the trainer has not
 * come upon it yet. */
static void verify_finds_it_while_the_pipeline_runs(void **state)
{
    struct run *run = *state;
    configure(run, &running);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    hold_trainer(run, 2000);
    assert_int_equal(buffer_command(run, "verify"), 0);
    harness_has(run->out, " 0 damaged");
    a_bit_of_a_slabs_values(run);
    assert_int_equal(buffer_command(run, "repair"), 1); /* that is the sink's */
    harness_has(run->err, "a sink is at work");
    assert_false(is_there(run, ASIDE));
    assert_int_equal(buffer_command(run, "verify"), 1);
    harness_has(run->out, " 1 damaged");
    harness_has(run->out, "made again");
    harness_has(run->err, "within a second where it runs");
    await_aside(run); /* it looks each second */
    let_go(run, up);
    assert_true(run_counts_are(run, "main", running.rows, 2));
}

static void stop_with_rows_to_draw(struct run *run)
{
    configure(run, &running);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    run_await_drawn(run, "main", 20000, 120);
    kill(up, SIGTERM);
    assert_int_equal(run_wait(up, 60), 0);
}

static void up_to_the_end(struct run *run)
{
    int code = run_command(run, 180, "sluice", "up", run->config, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    assert_true(run_counts_are(run, "main", running.rows, 2));
}

/* What `verify` says is so: `up` makes it good. */
static void verify_finds_it_while_nothing_runs(void **state)
{
    struct run *run = *state;
    stop_with_rows_to_draw(run);
    a_bit_of_a_slabs_values(run);
    assert_int_equal(buffer_command(run, "verify"), 1);
    harness_has(run->err, "when `sluice up` starts it");
    assert_false(is_there(run, ASIDE));
    assert_int_equal(buffer_command(run, "verify"), 1);
    up_to_the_end(run);
    assert_true(is_there(run, ASIDE));
    assert_int_equal(buffer_command(run, "verify"), 0);
}

static void repair_by_hand(void **state)
{
    struct run *run = *state;
    char path[HARNESS_PATH_BYTES + 64];
    assert_int_equal((configure(run, &running), buffer_command(run, "repair")), 1);
    harness_has(run->err, "there is no buffer in ");
    stop_with_rows_to_draw(run);
    assert_int_equal(buffer_command(run, "repair"), 0);
    harness_has(run->out, "none damaged: nothing to do");
    a_bit_of_a_slabs_values(run);
    assert_int_equal(buffer_command(run, "repair"), 0);
    harness_has(run->out, "1 of ");
    harness_has(run->out, "It was set aside in ");
    harness_has(run->out, "Consumer main needs frames of producer 0 from ");
    assert_true(is_there(run, ASIDE));
    place(run, path, sizeof path);
    assert_int_equal(file_replace(path, "?", 1), 0);
    up_to_the_end(run); /* without buffer and place: the checkpoint has all that is needed */
}

#define test(f) cmocka_unit_test_setup_teardown(f, run_set_up, run_tear_down)

int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        test(damage_is_made_good),
        test(the_reader_that_whitens_finds_it),
        test(verify_finds_it_while_the_pipeline_runs),
        test(verify_finds_it_while_nothing_runs),
        test(repair_by_hand),
    };
    return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
