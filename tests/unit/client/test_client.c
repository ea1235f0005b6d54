/* libsluice as a host program uses it, with a plain reader at the other end of the ring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fileio.h"
#include "client/sluice.h"
#include "client/stream.h"
#include "ring_reader.h"

enum { WIDTH = 20, NOBODY = 65534 };
static const struct sluice_hook hooks[] = {{"resid_post.1", 8}, {"resid_post.2", 12}};
static char folder[256];

static int make_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/rings-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static struct sluice_options usual(uint64_t records)
{
    return (struct sluice_options){
        .size = sizeof(struct sluice_options),
        .stream = "live",
        .hooks = hooks,
        .hooks_count = 2,
        .dtype = SLUICE_F32,
        .folder = folder,
        .model = "tiny",
        .model_file = "/models/tiny.gguf",
        .model_key = 9,
        .ring_bytes = sizeof(struct ring_header) + records * ring_record_bytes(DTYPE_F32, WIDTH),
    };
}

static struct sluice *opened(const struct sluice_options *options, struct ring_view *view)
{
    struct sluice *s;
    if (sluice_open(options, &s) != SLUICE_OK) fail_msg("%s", sluice_error());
    assert_int_equal(view_open(folder, view), 0);
    return s;
}

static struct sluice_counters counted(const struct sluice *s)
{
    struct sluice_counters c = {.size = sizeof c};
    sluice_counters(s, &c);
    assert_int_equal(c.offered_rows,
                     c.written_rows + c.shed_rows + c.limited_rows + c.abandoned_rows);
    return c;
}

static void fill(float *values, uint64_t sequence, uint32_t position)
{
    for (uint32_t i = 0; i < WIDTH; i++)
        values[i] = (float)(sequence * 1000 + position) + (float)i / 32;
}

static void is_row(const struct ring_record *r, uint64_t sequence, uint32_t position)
{
    float values[WIDTH];
    fill(values, sequence, position);
    assert_int_equal(r->id.sequence, sequence);
    assert_int_equal(r->id.position, position);
    assert_memory_equal(r + 1, values, sizeof values);
}

/* ---- its model ---- */

static uint64_t key_told(const struct sluice_options *options)
{
    struct ring_view view;
    struct sluice *s = opened(options, &view);
    uint64_t key = view.ring->facts.model_key;
    sluice_close(s);
    view_close(&view);
    return key;
}

/* Of the file as it is when the stream is opened, unless the program has a key of its own. */
static void a_models_file_makes_its_key(void **state)
{
    (void)state;
    struct sluice_options o = usual(16);
    struct sluice *s;
    char file[sizeof folder + 16];
    assert_true(key_told(&o) == 9);
    snprintf(file, sizeof file, "%s.gguf", folder);
    o.model_file = file;
    o.model_key = 0;
    assert_int_equal(sluice_open(&o, &s), SLUICE_ERR_USAGE);
    assert_non_null(strstr(sluice_error(), "model_file: "));
    assert_int_equal(file_replace(file, "old", 3), ERR_OK);
    uint64_t old = key_told(&o);
    assert_true(old != 0 && key_told(&o) == old);
    assert_int_equal(file_replace(file, "new", 3), ERR_OK);
    assert_true(key_told(&o) != old);
    unlink(file);
    o.model_file = NULL;
    assert_true(key_told(&o) == 0);
}

/* ---- rows ---- */

static void a_row_comes_out_as_it_went_in(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(16);
    struct sluice *s = opened(&options, &view);
    const struct ring_facts *f = &view.ring->facts;
    float values[WIDTH];
    assert_int_equal(f->hooks, 2);
    assert_string_equal(f->hook[1].name, "resid_post.2");
    assert_string_equal(f->model_file, "/models/tiny.gguf");
    assert_int_equal(f->records, 16);
    for (uint32_t p = 0; p < 100; p++) { /* several times round */
        struct sluice_row row = {7, p, 1000 + p, p ? 0 : SLUICE_FIRST, 0};
        fill(values, 7, p);
        assert_int_equal(sluice_put(s, 1, &row, values), 1);
        struct ring_record *r = view_next(&view);
        assert_non_null(r);
        is_row(r, 7, p);
        assert_int_equal(r->id.token, 1000 + p);
        assert_int_equal(r->flags, p ? 0 : RING_ROW_FIRST);
        assert_true(r->captured_ns > f->born_ns - 1);
        view_done(&view);
    }
    assert_null(view_next(&view));
    sluice_close(s);
    view_close(&view);
}

static void bf16_is_rounded_as_everywhere(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(16);
    options.dtype = SLUICE_BF16;
    struct sluice *s = opened(&options, &view);
    float values[WIDTH];
    struct sluice_row row = {1, 0, 0, 0, 0};
    for (uint32_t i = 0; i < WIDTH; i++) values[i] = 1.0f / (float)(3 + i);
    assert_int_equal(sluice_put(s, 1, &row, values), 1);
    const uint16_t *half = (const uint16_t *)(view_next(&view) + 1);
    for (uint32_t i = 0; i < WIDTH; i++) assert_int_equal(half[i], bf16_from_f32(values[i]));
    sluice_close(s);
    view_close(&view);
}

static void hooks_are_written_one_by_one_and_seen_together(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(16);
    struct sluice *s = opened(&options, &view);
    struct sluice_place place, lost;
    float values[WIDTH];
    struct sluice_row rows[3] = {{4, 0, 1, 0, 0}, {4, 1, 2, 0, 0}, {0, 0, 0, 0, 0}};
    assert_int_equal(sluice_reserve(s, 3, &place), 3);
    for (uint32_t h = 0; h < 2; h++)
        for (uint32_t i = 0; i < 3; i++) {
            fill(values, 4, i);
            sluice_write(s, &place, i, h, values + (h ? 8 : 0));
        }
    assert_null(view_next(&view));
    assert_int_equal(sluice_reserve(s, 2, &lost), 2);
    sluice_abandon(s, &lost);
    assert_null(view_next(&view)); /* in order */
    sluice_publish(s, &place, rows);
    for (uint32_t i = 0; i < 2; i++) {
        is_row(view_next(&view), 4, i);
        view_done(&view);
    }
    for (uint32_t i = 0; i < 3; i++) { /* of no sequence, and the two abandoned */
        assert_int_equal(view_next(&view)->flags, RING_ROW_NONE);
        view_done(&view);
    }
    assert_int_equal(counted(s).written_rows, 2);
    assert_int_equal(counted(s).abandoned_rows, 3);
    sluice_close(s);
    view_close(&view);
}

/* ---- bounds ---- */

static void what_finds_no_room_is_shed(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(17); /* 16 fit */
    struct sluice *s = opened(&options, &view);
    float values[40 * WIDTH] = {0};
    struct sluice_row rows[40];
    for (uint32_t i = 0; i < 40; i++) rows[i] = (struct sluice_row){1, i, i, 0, 0};
    assert_int_equal(sluice_put(s, 40, rows, values), 16);
    assert_int_equal(sluice_put(s, 1, rows, values), 0);
    assert_int_equal(counted(s).shed_rows, 25);
    for (uint32_t i = 0; i < 16; i++, view_done(&view))
        assert_int_equal(view_next(&view)->id.position, i);
    assert_null(view_next(&view));
    assert_int_equal(sluice_put(s, 1, rows, values), 1);
    sluice_close(s);
    view_close(&view);
}

static void sequences_are_taken_whole_by_their_share(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(16);
    options.share = 0.25;
    struct sluice *s = opened(&options, &view);
    uint32_t taken = 0;
    for (uint32_t i = 0; i < 4000; i++) taken += sluice_sequence(s) != 0;
    assert_in_range(taken, 850, 1150);
    struct sluice_counters c = counted(s);
    assert_int_equal(c.sequences, 4000);
    assert_int_equal(c.sequences_not_taken, 4000 - taken);
    struct sluice_row row = {0};
    float values[WIDTH] = {0};
    assert_int_equal(sluice_put(s, 1, &row, values), 0); /* of a sequence that is not taken */
    assert_int_equal(counted(s).offered_rows, 0);
    sluice_close(s);
    view_close(&view);
}

/* So small a one that the ring has no number for it is the smallest that it has. */
static void a_small_share_may_be_handed_back(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(16);
    struct sluice_settings now = {.size = sizeof now};
    options.share = 1e-10;
    struct sluice *s = opened(&options, &view);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&view.ring->control.share), 1);
        sluice_settings(s, &now);
        assert_true(now.share > 0);
        assert_int_equal(sluice_set(s, &now), SLUICE_OK);
    }
    sluice_close(s);
    view_close(&view);
}

static void no_more_rows_than_the_rate_lets(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(4096);
    options.rows_per_second = 100;
    struct sluice *s = opened(&options, &view);
    static float values[1000 * WIDTH];
    static struct sluice_row rows[1000];
    for (uint32_t i = 0; i < 1000; i++) rows[i] = (struct sluice_row){1, i, i, 0, 0};
    double begin = clock_seconds(CLOCK_MONOTONIC);
    uint32_t taken = sluice_put(s, 1000, rows, values);
    while (sluice_put(s, 1, rows, values) == 0) continue; /* a hundredth of a second later */
    double took = clock_seconds(CLOCK_MONOTONIC) - begin;
    assert_int_equal(taken, 100);
    assert_true(took > 0.005);
    assert_true(counted(s).limited_rows >= 900);
    struct sluice_settings free_of_limits = {sizeof free_of_limits, 1, 0, 0};
    assert_int_equal(sluice_set(s, &free_of_limits), SLUICE_OK);
    assert_int_equal(sluice_put(s, 1000, rows, values), 1000);
    sluice_close(s);
    view_close(&view);
}

/* As if the stream had been open for so much longer. */
static void pass_seconds(struct ring_view *view, uint64_t seconds)
{
    view->ring->facts.born_steady_ns -= seconds * 1000000000;
}

/* Of a reader's limit in bytes. */
static void a_limit_may_be_handed_back(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(64);
    struct sluice *s = opened(&options, &view);
    struct sluice_settings now = {.size = sizeof now};
    uint64_t interval = ring_interval(&view.ring->facts, 0, 1) * 100;
    atomic_store(&view.ring->control.interval, interval);
    sluice_settings(s, &now);
    assert_true(now.rows_per_second < RING_LOWEST_RATE);
    now.share = 0.5;
    assert_int_equal(sluice_set(s, &now), SLUICE_OK);
    assert_true(atomic_load(&view.ring->control.interval) >= interval / 2);
    now.rows_per_second *= 2; /* a person's own */
    assert_int_equal(sluice_set(s, &now), SLUICE_ERR_USAGE);
    sluice_close(s);
    view_close(&view);
}

/* An interval of more than a second, by the program itself or by its reader. */
static void a_low_rate_lets_a_row_through_now_and_then(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(64);
    options.rows_per_second = 0.001;
    struct sluice *s = opened(&options, &view);
    float values[40 * WIDTH] = {0};
    struct sluice_row rows[40];
    for (uint32_t i = 0; i < 40; i++) rows[i] = (struct sluice_row){1, i, i, 0, 0};
    for (int turn = 0; turn < 3; turn++, pass_seconds(&view, 150)) {
        assert_int_equal(sluice_put(s, 40, rows, values), 1);
        pass_seconds(&view, 850);
        assert_int_equal(sluice_put(s, 40, rows, values), 0);
    }
    pass_seconds(&view, 1 << 20);
    assert_int_equal(sluice_put(s, 40, rows, values), 1); /* what went by unused is gone */
    struct sluice_settings higher = {sizeof higher, 1, 0, 20};
    assert_int_equal(sluice_set(s, &higher), SLUICE_OK);
    sluice_put(s, 40, rows, values);
    pass_seconds(&view, 1); /* and not a thousand */
    assert_true(sluice_put(s, 40, rows, values) >= 19);
    atomic_store(&view.ring->control.interval,
                 ring_interval(&view.ring->facts, 0, WIDTH * sizeof(float) / 4));
    pass_seconds(&view, 5);
    assert_int_equal(sluice_put(s, 40, rows, values), 1);
    sluice_close(s);
    view_close(&view);
}

static void off_is_off(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(16);
    options.starts_off = 1;
    struct sluice *s = opened(&options, &view);
    struct sluice_row row = {1, 0, 0, 0, 0};
    float values[WIDTH] = {0};
    assert_int_equal(sluice_sequence(s), 0);
    assert_int_equal(sluice_put(s, 1, &row, values), 0);
    assert_int_equal(counted(s).offered_rows, 0);
    atomic_store(&view.ring->control.is_on, 1); /* by another process */
    assert_int_equal(sluice_put(s, 1, &row, values), 1);
    strcpy(view.ring->reader.reason, "its hooks are others");
    atomic_store(&view.ring->reader.verdict, RING_REFUSED);
    assert_int_equal(sluice_put(s, 1, &row, values), 0);
    assert_string_equal(counted(s).reason, "its hooks are others");
    sluice_close(s);
    view_close(&view);
}

static void block_waits_for_a_reader_that_is_there(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(16);
    options.policy = SLUICE_BLOCK;
    struct sluice *s = opened(&options, &view);
    static float values[40 * WIDTH];
    static struct sluice_row rows[40];
    for (uint32_t i = 0; i < 40; i++) rows[i] = (struct sluice_row){1, i, i, 0, 0};
    assert_int_equal(sluice_put(s, 40, rows, values), 16); /* nobody reads */
    pid_t pid = fork();
    if (pid == 0) { /* a reader */
        for (uint32_t got = 0; got < 56;) {
            view_seen(&view);
            if (!view_next(&view)) continue;
            view_done(&view);
            got++;
        }
        _exit(0);
    }
    while (!atomic_load(&view.ring->reader.seen_ns)) continue;
    assert_int_equal(sluice_put(s, 40, rows, values), 40);
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(counted(s).shed_rows, 24);
    sluice_close(s);
    view_close(&view);
}

static void *come_to_the_rescue(void *arg)
{
    struct ring_view *view = arg;
    nanosleep(&(struct timespec){.tv_sec = 20}, NULL);
    atomic_store(&view->ring->reader.seen_ns, 1);
    return NULL;
}

/* The reader was seen last at what is an hour from now. */
static void a_clock_that_is_set_back_keeps_nobody_waiting(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(16);
    options.policy = SLUICE_BLOCK;
    struct sluice *s = opened(&options, &view);
    float values[17 * WIDTH] = {0};
    struct sluice_row rows[17];
    uint64_t seen[] = {clock_ns(CLOCK_REALTIME) + UINT64_C(3600000000000), UINT64_MAX};
    pthread_t rescuer;
    for (uint32_t i = 0; i < 17; i++) rows[i] = (struct sluice_row){1, i, i, 0, 0};
    pthread_create(&rescuer, NULL, come_to_the_rescue, &view);
    for (int i = 0; i < 2; i++) {
        atomic_store(&view.ring->reader.seen_ns, seen[i]);
        assert_int_equal(sluice_put(s, 17, rows, values), i ? 0 : 16);
        assert_int_equal(atomic_load(&view.ring->reader.seen_ns), seen[i]);
    }
    pthread_cancel(rescuer);
    pthread_join(rescuer, NULL);
    sluice_close(s);
    view_close(&view);
}

/* ---- several ---- */

enum { THREADS = 4, EACH = 20000 };

static void *write_rows(void *arg)
{
    struct sluice *s = arg;
    uint64_t sequence = sluice_sequence(s);
    float values[3 * WIDTH];
    for (uint32_t p = 0; p < EACH; p += 3) {
        struct sluice_row rows[3];
        for (uint32_t i = 0; i < 3; i++) {
            rows[i] = (struct sluice_row){sequence, p + i, 0, 0, 0};
            fill(values + i * WIDTH, sequence, p + i);
        }
        sluice_put(s, 3, rows, values);
    }
    return NULL;
}

static void threads_do_not_mix_their_rows(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(64);
    struct sluice *s = opened(&options, &view);
    /* Of the writers' mapping: ThreadSanitizer knows nothing of two mappings of one memory. */
    struct ring_view mine = {.ring = s->ring, .bytes = s->bytes};
    pthread_t thread[THREADS];
    uint32_t last[THREADS + 1] = {0};
    uint64_t read = 0;
    for (int t = 0; t < THREADS; t++) pthread_create(&thread[t], NULL, write_rows, s);
    for (int done = 0; done < THREADS;) {
        struct ring_record *r = view_next(&mine);
        if (!r) {
            done += pthread_tryjoin_np(thread[done], NULL) == 0;
            continue;
        }
        assert_in_range(r->id.sequence, 1, THREADS);
        is_row(r, r->id.sequence, r->id.position);
        assert_true(!last[r->id.sequence] || r->id.position > last[r->id.sequence]);
        last[r->id.sequence] = r->id.position;
        view_done(&mine);
        read++;
    }
    while (view_next(&mine)) view_done(&mine), read++;
    assert_int_equal(counted(s).written_rows, read);
    assert_int_equal(counted(s).offered_rows, THREADS * ((EACH + 2) / 3 * 3));
    sluice_close(s);
    view_close(&view);
}

/* What the others do while this thread looks at the ring: the page of the host's words and that of the
 * reader's are shut in turn, so that each look at the one after the other stops in here. At the one that
 * is told, others take `lap` places and the reader reads them. */
static struct {
    uint8_t *page[2]; /* host's, reader's, as the library has them mapped */
    struct ring_header *ring;
    uint64_t lap;
    int looks, at;
} others;

static void shut(int page)
{
    mprotect(others.page[!page], RING_PAGE_BYTES, PROT_READ | PROT_WRITE);
    mprotect(others.page[page], RING_PAGE_BYTES, PROT_NONE);
}

static void between_two_looks(int signal, siginfo_t *info, void *context)
{
    uint8_t *at = info->si_addr;
    (void)signal, (void)context;
    int page = at >= others.page[1];
    if (at < others.page[0] || at >= others.page[1] + RING_PAGE_BYTES) abort();
    if (others.looks++ == others.at) {
        atomic_fetch_add(&others.ring->host.head, others.lap);
        atomic_fetch_add(&others.ring->reader.tail, others.lap);
    }
    shut(!page);
}

static uint32_t reserve_beside_others(struct sluice *s, uint32_t n, uint64_t lap, int at)
{
    struct sluice_place place;
    struct sigaction before, stop = {.sa_sigaction = between_two_looks, .sa_flags = SA_SIGINFO};
    others.lap = lap, others.at = at, others.looks = 0;
    sigaction(SIGSEGV, &stop, &before);
    shut(1);
    uint32_t taken = sluice_reserve(s, n, &place);
    mprotect(others.page[0], 2 * RING_PAGE_BYTES, PROT_READ | PROT_WRITE);
    sigaction(SIGSEGV, &before, NULL);
    sluice_abandon(s, &place);
    uint64_t head = atomic_load(&others.ring->host.head); /* all was read */
    atomic_store(&others.ring->reader.tail, head);
    return taken;
}

static void no_row_is_shed_for_what_others_do(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(16);
    struct sluice *s = opened(&options, &view);
    const uint64_t laps[] = {1, 16, 17};
    if (sysconf(_SC_PAGESIZE) != RING_PAGE_BYTES) skip();
    others.ring = view.ring;
    others.page[0] = (uint8_t *)&s->ring->control;
    others.page[1] = (uint8_t *)&s->ring->reader;
    assert_ptr_equal(others.page[1], others.page[0] + RING_PAGE_BYTES);
    for (uint32_t l = 0; l < 3; l++)
        for (uint32_t n = 1; n <= 16; n += 15) {
            int at = 0;
            do
                if (reserve_beside_others(s, n, laps[l], at) != n)
                    fail_msg("shed at look %d beside %d rows", at, (int)laps[l]);
            while (others.looks > at++);
            assert_true(at > 3);
        }
    assert_int_equal(counted(s).shed_rows, 0);
    sluice_close(s);
    view_close(&view);
}

/* All that may be called of a stream, in a child. 0: nothing came of it. */
static int use_as_a_child(struct sluice *s, const struct sluice_place *place)
{
    struct sluice_place none = {7, 7, 7};
    struct sluice_row row = {1, 0, 0, 0, 0};
    struct sluice_settings set = {sizeof set, 0, 0.5, 3};
    struct sluice_counters c = {.size = sizeof c};
    float values[WIDTH] = {1};
    int is_wrong = sluice_sequence(s) || sluice_put(s, 1, &row, values) || sluice_is_on(s) ||
                   sluice_reserve(s, 1, &none) || none.rows;
    sluice_write(s, place, 0, 0, values);
    sluice_publish(s, place, &row);
    sluice_abandon(s, place);
    sluice_leave_out(s, SLUICE_STEERED, 1);
    is_wrong |= sluice_set(s, &set) != SLUICE_OK;
    sluice_settings(s, &set);
    sluice_counters(s, &c);
    is_wrong |= set.is_on || c.sequences;
    sluice_close(s);
    return is_wrong;
}

static void a_forked_child_writes_nothing(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(16);
    struct sluice *s = opened(&options, &view);
    struct sluice_place place;
    sluice_sequence(s);
    assert_int_equal(sluice_reserve(s, 1, &place), 1);
    void *before = malloc(view.bytes);
    memcpy(before, view.ring, view.bytes);
    pid_t pid = fork();
    if (pid == 0) _exit(use_as_a_child(s, &place));
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_memory_equal(view.ring, before, view.bytes);
    free(before);
    sluice_abandon(s, &place);
    view_done(&view);
    sluice_close(s);
    assert_int_equal(atomic_load(&view.ring->host.is_closed), 1);
    view_close(&view);
}

static int is_locked(const char *path)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDWR);
    pid_t pid = fork(); /* a process does not see its own */
    if (pid == 0) _exit(fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK);
    int status;
    waitpid(pid, &status, 0);
    close(fd);
    return WEXITSTATUS(status);
}

static void a_ring_outlives_its_host_and_says_so(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(16);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct sluice *s;
        struct sluice_row row = {1, 5, 9, 0, 0};
        float values[WIDTH];
        fill(values, 1, 5);
        sluice_open(&options, &s);
        sluice_put(s, 1, &row, values);
        (void)!write(ready[1], "", 1);
        pause();
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(view_open(folder, &view), 0);
    assert_true(is_locked(view.path));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_false(is_locked(view.path));
    is_row(view_next(&view), 1, 5);
    close(ready[0]);
    close(ready[1]);
    view_close(&view);
}

static void put_n(struct sluice *s, uint32_t n)
{
    static float values[17 * WIDTH];
    struct sluice_row rows[17];
    for (uint32_t i = 0; i < n; i++) rows[i] = (struct sluice_row){1, i, 0, 0, 0};
    sluice_put(s, n, rows, values);
}

/* A program that closes all descriptors has another file at the ring's number. */
static void a_number_that_is_the_program_s_is_left_alone(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(16);
    struct sluice *s = opened(&options, &view);
    int own[2], number = s->file.fd;
    assert_int_equal(pipe(own), 0);
    assert_int_equal(dup2(own[1], number), number);
    close(own[1]);
    put_n(s, 1);
    sluice_close(s);
    assert_int_equal(write(number, "", 1), 1);
    close(number);
    close(own[0]);
    view_close(&view);
}

/* ---- what programs leave ---- */

static uint32_t files_there(void)
{
    uint32_t n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; (entry = readdir(dir));) n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* Another program that opens a stream, does `use` and is gone, or, where `use` waits, is not. */
static pid_t program(void (*use)(struct sluice *s), struct ring_view *view)
{
    struct sluice_options options = usual(16);
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct sluice *s;
        if (sluice_open(&options, &s) != SLUICE_OK) _exit(1);
        (void)!write(ready[1], "", 1);
        use(s);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    if (view) assert_int_equal(view_open(folder, view), 0);
    return pid;
}

static void do_nothing(struct sluice *s)
{
    (void)s;
}

static void wait_for_a_signal(struct sluice *s)
{
    (void)s;
    pause();
}

static void put_a_row(struct sluice *s)
{
    put_n(s, 1);
}

static void shed_a_row(struct sluice *s)
{
    put_n(s, 17);
}

/* Places that are taken, two of them given up, and one row behind what was never published. */
static void die_amid_a_pass(struct sluice *s)
{
    struct sluice_place place;
    sluice_reserve(s, 2, &place);
    sluice_abandon(s, &place);
    sluice_reserve(s, 3, &place);
}

static void die_before_a_row(struct sluice *s)
{
    die_amid_a_pass(s);
    put_n(s, 1);
}

static void another_program_comes(void)
{
    struct sluice_options options = usual(16);
    struct sluice *s;
    assert_int_equal(sluice_open(&options, &s), SLUICE_OK);
    sluice_close(s);
}

static void ends(void (*use)(struct sluice *s))
{
    waitpid(program(use, NULL), NULL, 0);
}

static void what_a_dead_program_left_is_removed_by_the_next(void **state)
{
    (void)state;
    ends(do_nothing);
    assert_int_equal(files_there(), 1);
    another_program_comes();
    assert_int_equal(files_there(), 0);
    ends(die_amid_a_pass);
    another_program_comes();
    assert_int_equal(files_there(), 0);
}

/* Nobody chose to have it dropped. */
static void what_nobody_has_read_stays(void **state)
{
    (void)state;
    void (*const uses[])(struct sluice *) = {put_a_row, die_before_a_row, shed_a_row};
    for (int i = 0; i < 3; i++) {
        struct ring_view view;
        ends(uses[i]);
        another_program_comes();
        assert_int_equal(files_there(), 1);
        assert_int_equal(view_open(folder, &view), 0);
        uint64_t head = atomic_load(&view.ring->host.head);
        atomic_store(&view.ring->reader.tail, head); /* a reader has them */
        another_program_comes();
        assert_int_equal(files_there(), uses[i] == shed_a_row);
        atomic_store(&view.ring->reader.told_shed, 1);
        another_program_comes();
        assert_int_equal(files_there(), 0);
        view_close(&view);
    }
}

static void what_is_no_dead_program_s_stays(void **state)
{
    (void)state;
    struct ring_view view;
    char path[300];
    pid_t pid = program(wait_for_a_signal, &view);
    another_program_comes();
    assert_int_equal(files_there(), 1);
    struct sluice_options options = usual(16);
    struct sluice *mine, *second;
    assert_int_equal(sluice_open(&options, &mine), SLUICE_OK);
    assert_int_equal(sluice_open(&options, &second), SLUICE_OK);
    assert_true(is_locked(mine->path)); /* which a look at it would have undone */
    sluice_close(second);
    sluice_close(mine);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    snprintf(path, sizeof path, "%s/7-0" RING_SUFFIX, folder); /* no ring */
    close(open(path, O_RDWR | O_CREAT, 0600));
    another_program_comes();
    assert_int_equal(files_there(), 1);
    assert_int_equal(unlink(path), 0);
    view_close(&view);
}

static void what_a_program_died_over_is_removed(void **state)
{
    (void)state;
    struct timespec old[2] = {{1000000000, 0}, {1000000000, 0}};
    char path[300];
    snprintf(path, sizeof path, "%s/7-0" RING_SUFFIX RING_UNNAMED, folder);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    another_program_comes();
    assert_int_equal(files_there(), 1); /* perhaps it is just being made */
    futimens(fd, old);
    close(fd);
    another_program_comes();
    assert_int_equal(files_there(), 0);
}

static void nothing_is_allocated_while_rows_flow(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(64);
    struct sluice *s = opened(&options, &view);
    struct sluice_row row = {1, 0, 0, 0, 0};
    float values[WIDTH] = {0};
    struct mallinfo2 before = mallinfo2();
    for (uint32_t i = 0; i < 1000; i++) {
        row.sequence = sluice_sequence(s);
        sluice_put(s, 1, &row, values);
    }
    struct mallinfo2 after = mallinfo2();
    assert_int_equal(after.uordblks, before.uordblks);
    assert_int_equal(after.hblkhd, before.hblkhd);
    sluice_close(s);
    view_close(&view);
}

/* ---- what cannot be ---- */

static void refused(const struct sluice_options *options, int code, const char *words)
{
    struct sluice *s = (struct sluice *)1;
    assert_int_equal(sluice_open(options, &s), code);
    assert_null(s);
    if (!strstr(sluice_error(), words)) fail_msg("\"%s\" lacks \"%s\"", sluice_error(), words);
}

static void options_that_make_no_sense(void **state)
{
    (void)state;
    static const struct sluice_hook wide = {"resid_post.1", 1u << 30}, unnamed = {NULL, 8};
    struct sluice_options o = usual(16);
    o.stream = "../live";
    refused(&o, SLUICE_ERR_USAGE, "letters");
    o = usual(16), o.stream = NULL;
    refused(&o, SLUICE_ERR_USAGE, "name");
    o = usual(16), o.hooks_count = 0;
    refused(&o, SLUICE_ERR_USAGE, "hooks");
    o = usual(16), o.hooks = &wide, o.hooks_count = 1;
    refused(&o, SLUICE_ERR_USAGE, "values");
    o = usual(16), o.hooks = &unnamed, o.hooks_count = 1;
    refused(&o, SLUICE_ERR_USAGE, "no name");
    o = usual(16), o.ring_bytes = 100;
    refused(&o, SLUICE_ERR_USAGE, "64 MiB");
    o = usual(16), o.ring_bytes = UINT64_MAX;
    refused(&o, SLUICE_ERR_USAGE, "bytes");
    o = usual(16), o.share = 1.5;
    refused(&o, SLUICE_ERR_USAGE, "share");
    o = usual(16), o.rows_per_second = -1;
    refused(&o, SLUICE_ERR_USAGE, "rows per second");
    o = usual(16), o.size = 3;
    refused(&o, SLUICE_ERR_USAGE, "sizeof");
}

static void no_room_for_the_ring(void **state)
{
    (void)state;
    struct sluice_options o = usual(1 << 24);
    struct rlimit all, little = {1 << 20, 1 << 20};
    struct statvfs disk;
    char shared[] = "/dev/shm/sluice-test-XXXXXX";
    getrlimit(RLIMIT_FSIZE, &all);
    little.rlim_max = all.rlim_max;
    setrlimit(RLIMIT_FSIZE, &little);
    refused(&o, SLUICE_ERR_USAGE, "ulimit -f"); /* and no SIGXFSZ */
    setrlimit(RLIMIT_FSIZE, &all);
    assert_non_null(mkdtemp(shared));
    assert_int_equal(statvfs(shared, &disk), 0);
    static const struct sluice_hook wide = {"resid_post.1", 1u << 15};
    o.folder = shared, o.hooks = &wide, o.hooks_count = 1;
    o.ring_bytes =
        (uint64_t)disk.f_bfree * disk.f_bsize * 4; /* half of it, at least, as a power of 2 */
    refused(&o, SLUICE_ERR_ROOM, "/dev/shm");
    assert_int_equal(rmdir(shared), 0); /* and nothing is left */
}

static void folders_of_others(void **state)
{
    (void)state;
    struct sluice_options o = usual(16);
    char link[300];
    snprintf(link, sizeof link, "%s/absent/rings", folder);
    o.folder = link;
    refused(&o, SLUICE_ERR_ACCESS, "absent");
    snprintf(link, sizeof link, "%s/link", folder);
    assert_int_equal(symlink("/tmp", link), 0);
    o.folder = link;
    refused(&o, SLUICE_ERR_ACCESS, "link");
    unlink(link);
    assert_int_equal(chmod(folder, 0777), 0);
    o.folder = folder;
    refused(&o, SLUICE_ERR_ACCESS, "others");
    chmod(folder, 0700);
}

/* Its own folder. Root may write any, so it becomes somebody else. */
static void a_folder_that_may_not_be_written(void **state)
{
    (void)state;
    struct sluice_options o = usual(16);
    char shut[] = "/dev/shm/sluice-test-XXXXXX";
    int status;
    assert_non_null(mkdtemp(shut));
    if (getuid() == 0) assert_int_equal(chown(shut, NOBODY, NOBODY), 0);
    assert_int_equal(chmod(shut, 0500), 0);
    o.folder = shut;
    pid_t pid = fork();
    if (pid == 0) {
        struct sluice *s;
        if (getuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) _exit(99);
        int result = sluice_open(&o, &s);
        _exit(strstr(sluice_error(), shut) ? result : 98);
    }
    waitpid(pid, &status, 0);
    rmdir(shut);
    assert_int_equal(WEXITSTATUS(status), SLUICE_ERR_ACCESS);
}

static void a_program_built_with_an_older_header(void **state)
{
    (void)state;
    struct ring_view view;
    struct sluice_options options = usual(16);
    options.size = offsetof(struct sluice_options, share);
    options.share = 7; /* behind what it knows */
    struct sluice *s = opened(&options, &view);
    struct {
        size_t size;
        uint64_t offered, guard;
    } older = {2 * sizeof(size_t), 5, 77};
    sluice_counters(s, (struct sluice_counters *)(void *)&older);
    assert_int_equal(older.offered, 0);
    assert_int_equal(older.guard, 77);
    sluice_close(s);
    view_close(&view);
}

static void without_a_stream_nothing_happens(void **state)
{
    (void)state;
    struct sluice_place place;
    struct sluice_row row = {1, 0, 0, 0, 0};
    struct sluice_counters c = {.size = sizeof c, .offered_rows = 9};
    float values[WIDTH] = {0};
    assert_int_equal(sluice_is_on(NULL), 0);
    assert_int_equal(sluice_sequence(NULL), 0);
    assert_int_equal(sluice_put(NULL, 1, &row, values), 0);
    assert_int_equal(sluice_reserve(NULL, 1, &place), 0);
    sluice_write(NULL, &place, 0, 0, values);
    sluice_publish(NULL, &place, &row);
    sluice_abandon(NULL, &place);
    sluice_leave_out(NULL, SLUICE_STEERED, 1);
    sluice_counters(NULL, &c);
    assert_int_equal(c.offered_rows, 0);
    sluice_close(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_models_file_makes_its_key),
        cmocka_unit_test(a_row_comes_out_as_it_went_in),
        cmocka_unit_test(bf16_is_rounded_as_everywhere),
        cmocka_unit_test(hooks_are_written_one_by_one_and_seen_together),
        cmocka_unit_test(what_finds_no_room_is_shed),
        cmocka_unit_test(sequences_are_taken_whole_by_their_share),
        cmocka_unit_test(a_small_share_may_be_handed_back),
        cmocka_unit_test(no_more_rows_than_the_rate_lets),
        cmocka_unit_test(a_low_rate_lets_a_row_through_now_and_then),
        cmocka_unit_test(a_limit_may_be_handed_back),
        cmocka_unit_test(off_is_off),
        cmocka_unit_test(block_waits_for_a_reader_that_is_there),
        cmocka_unit_test(a_clock_that_is_set_back_keeps_nobody_waiting),
        cmocka_unit_test(threads_do_not_mix_their_rows),
        cmocka_unit_test(no_row_is_shed_for_what_others_do),
        cmocka_unit_test(a_forked_child_writes_nothing),
        cmocka_unit_test(a_ring_outlives_its_host_and_says_so),
        cmocka_unit_test(a_number_that_is_the_program_s_is_left_alone),
        cmocka_unit_test(what_a_dead_program_left_is_removed_by_the_next),
        cmocka_unit_test(what_nobody_has_read_stays),
        cmocka_unit_test(what_is_no_dead_program_s_stays),
        cmocka_unit_test(what_a_program_died_over_is_removed),
        cmocka_unit_test(nothing_is_allocated_while_rows_flow),
        cmocka_unit_test(options_that_make_no_sense),
        cmocka_unit_test(no_room_for_the_ring),
        cmocka_unit_test(folders_of_others),
        cmocka_unit_test(a_folder_that_may_not_be_written),
        cmocka_unit_test(a_program_built_with_an_older_header),
        cmocka_unit_test(without_a_stream_nothing_happens),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
