/* Both ends of a ring: libsluice in this process, the engine `ring` beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "client/sluice.h"
#include "engine/engine.h"
#include "engine/options.h"
#include "proto/ring_file.h"
#include "tests/unit/client/ring_reader.h"

enum { WIDTH = 12 };
static char folder[256], told[1 << 15];
static const char *const names[] = {"resid_post.1"};

static int make_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/rings-XXXXXX", tmp ? tmp : "/tmp");
    told[0] = '\0';
    return mkdtemp(folder) ? 0 : -1;
}

/* Files of the folder, and their paths. */
static int files(const char *suffix, char *path, size_t bytes)
{
    DIR *dir = opendir(folder);
    int n = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        size_t length = strlen(e->d_name), tail = strlen(suffix);
        if (length < tail || strcmp(e->d_name + length - tail, suffix) != 0) continue;
        if (path) snprintf(path, bytes, "%s/%s", folder, e->d_name);
        n++;
    }
    closedir(dir);
    return n;
}

static int drop_folder(void **state)
{
    char path[600];
    (void)state;
    while (files(RING_SUFFIX, path, sizeof path)) unlink(path);
    snprintf(path, sizeof path, "%s/reader.lock", folder);
    unlink(path);
    return rmdir(folder);
}

static void tell(void *arg, int is_warning, const char *sentence)
{
    (void)arg;
    (void)is_warning;
    strncat(told, sentence, sizeof told - strlen(told) - 2);
    strcat(told, "\n");
}

static int has_given_up(void *arg)
{
    return arg != NULL;
}

static struct engine_options reader_options(void)
{
    return (struct engine_options){
        .kind = ENGINE_RING,
        .hooks = names,
        .hooks_count = 1,
        .share_count = 1,
        .context_tokens = 512,
        .stream = "live",
        .rings = folder,
        .watch = {.tell = tell, .arg = folder, .is_over = has_given_up},
    };
}

static struct engine *reader(void)
{
    struct engine_options o = reader_options();
    struct engine *e;
    if (engine_open(&o, &e) != ERR_OK) fail_msg("%s", err_text());
    return e;
}

static struct sluice_options host_options(const struct sluice_hook *hook)
{
    return (struct sluice_options){
        .size = sizeof(struct sluice_options),
        .stream = "live",
        .hooks = hook,
        .hooks_count = 1,
        .folder = folder,
        .model = "tiny",
        .model_key = 77,
        .dtype = SLUICE_F32,
        .ring_bytes = 1 << 17,
    };
}

static const struct sluice_hook usual_hook = {"resid_post.1", WIDTH};

static struct sluice *host(void)
{
    struct sluice_options o = host_options(&usual_hook);
    struct sluice *s;
    if (sluice_open(&o, &s) != SLUICE_OK) fail_msg("%s", sluice_error());
    return s;
}

static float value_of(uint64_t mark, uint32_t position, uint32_t i)
{
    return (float)mark * 64 + (float)position + (float)i / 16;
}

/* Rows of one sequence whose values tell `mark`. */
static uint32_t put(struct sluice *s, uint64_t sequence, uint64_t mark, uint32_t from, uint32_t n)
{
    static float values[4096 * WIDTH];
    static struct sluice_row rows[4096];
    for (uint32_t r = 0; r < n; r++) {
        rows[r] = (struct sluice_row){sequence, from + r, 500 + r, 0, 0};
        for (uint32_t i = 0; i < WIDTH; i++) values[r * WIDTH + i] = value_of(mark, from + r, i);
    }
    return sluice_put(s, n, rows, values);
}

static struct sluice_counters counted(struct sluice *s)
{
    struct sluice_counters c = {.size = sizeof c};
    sluice_counters(s, &c);
    return c;
}

/* Rows until there is none for now, n at most in one batch. */
static struct engine_batch batch_of(struct engine *e, size_t n)
{
    struct engine_batch batch;
    int result = engine_next(e, &batch);
    if (result != ERR_OK) fail_msg("%s", err_text());
    assert_int_equal(batch.rows, n);
    return batch;
}

static void is_empty(struct engine *e)
{
    struct engine_batch batch;
    assert_int_equal(engine_next(e, &batch), ERR_AGAIN);
    assert_int_equal(batch.rows, 0);
}

/* ---- rows ---- */

static void rows_of_two_programs_keep_their_names(void **state)
{
    (void)state;
    struct sluice *a = host(), *b = host();
    struct engine *e = reader();
    assert_string_equal(engine_info(e)->hook[0].name, "resid_post.1");
    assert_int_equal(engine_info(e)->width, WIDTH);
    assert_true(engine_info(e)->is_live);
    uint64_t one = sluice_sequence(a), two = sluice_sequence(b);
    assert_int_equal(one, two); /* each counts for itself */
    put(a, one, 1, 0, 5);
    put(b, two, 2, 7, 3);
    struct engine_batch batch = batch_of(e, 8);
    uint64_t seen[3] = {0};
    for (size_t i = 0; i < 8; i++) {
        const struct row_id *id = &batch.ids[i];
        uint64_t mark = batch.values[i * WIDTH] >= 128 ? 2 : 1;
        if (!seen[mark]) seen[mark] = id->sequence;
        assert_int_equal(id->sequence, seen[mark]);
        for (uint32_t k = 0; k < WIDTH; k++)
            assert_true(batch.values[i * WIDTH + k] == value_of(mark, id->position, k));
        assert_int_equal(batch.flags[i], id->position == 0 ? ENGINE_ROW_FIRST : 0);
    }
    assert_true(seen[1] && seen[2] && seen[1] != seen[2]);
    is_empty(e);
    sluice_close(a);
    sluice_close(b);
    engine_close(e);
}

static void a_reader_that_comes_back_gives_no_name_twice(void **state)
{
    (void)state;
    struct sluice *a = host();
    struct engine *e = reader();
    uint64_t sequence = sluice_sequence(a);
    put(a, sequence, 1, 0, 2);
    struct engine_batch batch = batch_of(e, 2);
    uint64_t before = batch.ids[0].sequence;
    struct cursor committed = batch.cursors[2];
    engine_close(e); /* as a kill: nothing is told */
    put(a, sequence, 1, 2, 2);
    struct sluice *b = host();
    put(b, sluice_sequence(b), 2, 0, 1);
    e = reader();
    assert_int_equal(engine_seek(e, &committed), ERR_OK);
    batch = batch_of(e, 3);
    for (size_t i = 0; i < 3; i++) {
        int is_a = batch.values[i * WIDTH] < 128;
        assert_int_equal(batch.ids[i].sequence == before, is_a);
    }
    sluice_close(a);
    sluice_close(b);
    batch = (struct engine_batch){0};
    engine_close(e);
    struct sluice *c = host(); /* both are gone: the cursor alone knows of their epochs */
    put(c, sluice_sequence(c), 3, 0, 1);
    e = reader();
    assert_int_equal(engine_seek(e, &(struct cursor){.document = 2}), ERR_OK);
    batch = batch_of(e, 1);
    assert_true(batch.ids[0].sequence >> RING_NUMBER_BITS > 2);
    sluice_close(c);
    engine_close(e);
}

static void what_was_read_is_wiped(void **state)
{
    (void)state;
    struct sluice *a = host();
    struct engine *e = reader();
    char path[600];
    static char bytes[1 << 18];
    float planted = value_of(5, 3, 2);
    put(a, sluice_sequence(a), 5, 0, 9);
    assert_int_equal(files(RING_SUFFIX, path, sizeof path), 1);
    for (int turn = 0; turn < 2; turn++) {
        FILE *f = fopen(path, "r");
        size_t n = fread(bytes, 1, sizeof bytes, f);
        fclose(f);
        assert_int_equal(memmem(bytes, n, &planted, sizeof planted) != NULL, turn == 0);
        if (turn == 0) batch_of(e, 9);
    }
    sluice_close(a);
    engine_close(e);
}

/* The stream's limits hold for every program; a stricter one of its own stays, and what a person sets
 * later too. */
static void limits_of_the_stream_hold(void **state)
{
    (void)state;
    struct engine_options o = reader_options();
    struct sluice_settings now = {sizeof now, 0, 0, 0}, set = {sizeof set, 1, 1, 5000};
    struct sluice *a = host();
    struct engine *e;
    o.share = 0.5;
    o.rows_per_second = 1000;
    o.bytes_per_second = 100 * WIDTH * 4; /* float32 */
    assert_int_equal(engine_open(&o, &e), ERR_OK);
    sluice_settings(a, &now);
    assert_true(now.share == 0.5);
    assert_true(fabs(now.rows_per_second - 100) < 1e-3);
    put(a, 1, 1, 0, 1);
    batch_of(e, 1);
    sluice_set(a, &set);
    engine_close(e);
    assert_int_equal(engine_open(&o, &e), ERR_OK);
    sluice_settings(a, &now);
    assert_true(now.share == 1 && fabs(now.rows_per_second - 5000) < 1);
    engine_close(e);
    sluice_close(a);
    struct sluice_options strict = host_options(&usual_hook);
    strict.rows_per_second = 7;
    assert_int_equal(sluice_open(&strict, &a), SLUICE_OK);
    assert_int_equal(engine_open(&o, &e), ERR_OK);
    sluice_settings(a, &now);
    assert_true(fabs(now.rows_per_second - 7) < 1e-3);
    engine_close(e);
    sluice_close(a);
}

/* ---- ends ---- */

static void a_program_that_dies_leaves_nothing(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct sluice *s = host();
        struct sluice_place place;
        uint64_t sequence = sluice_sequence(s);
        put(s, sequence, 1, 0, 3);
        sluice_reserve(s, 4, &place); /* and dies before it has them */
        put(s, sequence, 1, 9, 2);
        raise(SIGKILL);
    }
    waitpid(pid, NULL, 0);
    struct engine *e = reader();
    batch_of(e, 3);
    struct engine_batch batch;
    for (int i = 0; i < 20 && engine_next(e, &batch) == ERR_AGAIN; i++) continue;
    assert_int_equal(batch.rows, 2);
    assert_int_equal(batch.ids[1].position, 10);
    struct engine_rings rings;
    int looks = 0;
    do {
        engine_next(e, &batch);
        engine_rings(e, &rings);
    } while (rings.rings && ++looks < 20);
    assert_int_equal(files(RING_SUFFIX, NULL, 0), 0);
    assert_int_equal(rings.count[RING_WRITTEN], 5); /* of the dead, too */
    assert_non_null(strstr(told, "5 rows written, 0 shed, 4 unfinished"));
    engine_close(e);
}

static void a_program_that_ends_takes_its_ring_along(void **state)
{
    (void)state;
    struct sluice *a = host();
    sluice_close(a);
    assert_int_equal(files(RING_SUFFIX, NULL, 0), 0);
    a = host();
    put(a, sluice_sequence(a), 1, 0, 1);
    sluice_close(a); /* a row waits */
    assert_int_equal(files(RING_SUFFIX, NULL, 0), 1);
    struct engine *e = reader();
    batch_of(e, 1);
    engine_close(e);
}

static void a_stream_that_ends_tells_its_programs(void **state)
{
    (void)state;
    struct sluice *a = host();
    struct engine *e = reader();
    put(a, sluice_sequence(a), 1, 0, 3);
    engine_finish(e);
    assert_non_null(strstr(told, "3 rows that lay in programs' rings were wiped unread"));
    assert_true(counted(a).is_refused);
    assert_string_equal(counted(a).reason, "the stream has ended");
    assert_int_equal(sluice_sequence(a), 0);
    engine_close(e);
    e = reader(); /* of the next run */
    uint64_t sequence = sluice_sequence(a);
    assert_int_equal(put(a, sequence, 1, 0, 2), 2);
    batch_of(e, 2); /* the three were wiped */
    sluice_close(a);
    engine_close(e);
}

/* ---- what is refused ---- */

static void refused(struct sluice_options options, const char *why)
{
    struct sluice *good = host(), *bad;
    struct engine *e = reader();
    assert_int_equal(sluice_open(&options, &bad), SLUICE_OK);
    struct engine_batch batch;
    struct engine_rings rings = {0};
    for (int turn = 0; !rings.refused && turn < 50; turn++) { /* 10 seconds */
        assert_int_equal(engine_next(e, &batch), ERR_AGAIN);
        engine_rings(e, &rings);
    }
    assert_int_equal(rings.refused, 1);
    if (!strstr(counted(bad).reason, why))
        fail_msg("\"%s\" lacks \"%s\"", counted(bad).reason, why);
    assert_non_null(strstr(told, "are refused"));
    assert_int_equal(put(bad, 1, 1, 0, 1), 0);
    put(good, 1, 1, 0, 1);
    batch_of(e, 1); /* the others go on */
    sluice_close(bad);
    sluice_close(good);
    engine_close(e);
}

static void rows_of_another_kind_are_refused(void **state)
{
    (void)state;
    static const struct sluice_hook other = {"resid_post.2", WIDTH}, wider = {"resid_post.1", 13};
    refused(host_options(&other), "hooks");
    refused(host_options(&wider), "hooks");
    struct sluice_options o = host_options(&usual_hook);
    o.model_key = 78;
    refused(o, "is another than the stream's, which has the name tiny");
    o.model_key = 77;
    o.model = "other";
    refused(o, "its model, other, is another than the stream's, tiny");
}

static void put_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct sluice *host_with(const char *model_file, const char *model)
{
    struct sluice_options o = host_options(&usual_hook);
    struct sluice *s;
    o.model_file = model_file;
    o.model = model;
    o.model_key = 0;
    if (sluice_open(&o, &s) != SLUICE_OK) fail_msg("%s", sluice_error());
    return s;
}

/* Of all that a path may lead to now: another container's file, or the one that took its place. */
static void a_models_file_is_told_by_what_was_loaded(void **state)
{
    (void)state;
    char model[sizeof folder + 16], copy[sizeof folder + 16];
    struct engine_batch batch;
    snprintf(model, sizeof model, "%s.gguf", folder);
    snprintf(copy, sizeof copy, "%s.copy.gguf", folder);
    put_file(model, "one model");
    put_file(copy, "one model");
    struct sluice *first = host_with(model, "m");
    put_file(model, "and other"); /* with that first program at work */
    struct engine *e = reader();
    struct sluice *second = host_with(model, "m");
    unlink(model); /* the reader is in another container */
    struct sluice *third = host_with(copy, "a copy");
    unlink(copy);
    double until = clock_seconds(CLOCK_MONOTONIC) + 40;
    struct engine_rings rings = {0};
    while (rings.rings < 3 && clock_seconds(CLOCK_MONOTONIC) < until) {
        assert_int_equal(engine_next(e, &batch), ERR_AGAIN);
        engine_rings(e, &rings);
    }
    assert_int_equal(rings.rings, 3);
    assert_int_equal(rings.refused, 1);
    assert_false(counted(first).is_refused);
    assert_true(counted(second).is_refused);
    assert_non_null(strstr(counted(second).reason, "is another than the stream's"));
    assert_false(counted(third).is_refused);
    uint64_t hash = engine_info(e)->model_hash;
    engine_close(e);
    sluice_close(first);
    sluice_close(second);
    e = reader(); /* of the next life, with a program that came later */
    assert_true(engine_info(e)->model_hash == hash);
    assert_false(counted(third).is_refused);
    sluice_close(third);
    engine_close(e);
}

/* A program of another make than libsluice: a file that only it can see. */
static void who_does_not_tell_its_model_is_refused(void **state)
{
    (void)state;
    struct sluice *good = host(), *bad = host();
    struct ring_view view;
    assert_int_equal(view_open(folder, &view), 0);
    strcpy(view.ring->facts.model_file, "/models/model.gguf");
    view.ring->facts.model_key = 0;
    struct engine *e = reader();
    struct engine_rings rings = {0};
    struct engine_batch batch;
    double until = clock_seconds(CLOCK_MONOTONIC) + 40;
    while (rings.rings < 2 && clock_seconds(CLOCK_MONOTONIC) < until) {
        engine_next(e, &batch);
        engine_rings(e, &rings);
    }
    assert_int_equal(rings.refused, 1);
    assert_int_equal(atomic_load(&view.ring->reader.verdict), RING_REFUSED);
    assert_non_null(strstr(view.ring->reader.reason, "does not tell its model, tiny, from others"));
    view_close(&view);
    sluice_close(good);
    sluice_close(bad);
    engine_close(e);
}

/* Rows that lie in a ring before its reader has looked. */
static void what_is_refused_is_wiped_and_removed(void **state)
{
    (void)state;
    static const struct sluice_hook other = {"resid_post.2", WIDTH};
    struct sluice_options options = host_options(&other);
    struct sluice *good = host(), *bad;
    struct engine *e = reader();
    struct engine_batch batch;
    struct engine_rings rings = {0};
    assert_int_equal(sluice_open(&options, &bad), SLUICE_OK);
    assert_true(put(bad, sluice_sequence(bad), 1, 0, 4096) < 4096);
    while (!rings.refused) {
        assert_int_equal(engine_next(e, &batch), ERR_AGAIN);
        engine_rings(e, &rings);
    }
    assert_int_equal(rings.waiting_rows, 0);
    assert_int_equal(rings.lost_rows, 0); /* what it shed is none of the stream's */
    sluice_close(bad);
    while (rings.rings > 1) {
        assert_int_equal(engine_next(e, &batch), ERR_AGAIN);
        engine_rings(e, &rings);
    }
    assert_int_equal(files(RING_SUFFIX, NULL, 0), 1);
    sluice_close(good);
    engine_close(e);
}

/* Somebody who copies a ring gives no row a second name. */
static void a_copy_of_a_ring_is_left_unread(void **state)
{
    (void)state;
    struct sluice *a = host();
    char path[600], command[2000];
    put(a, sluice_sequence(a), 1, 0, 3);
    files(RING_SUFFIX, path, sizeof path);
    snprintf(command, sizeof command, "cp '%s' '%s/1-0123456789abcdef" RING_SUFFIX "'", path,
             folder);
    assert_int_equal(system(command), 0);
    struct engine *e = reader();
    batch_of(e, 3);
    is_empty(e);
    assert_non_null(strstr(told, "is a copy of a ring"));
    sluice_close(a);
    engine_close(e);
}

/* As a reader writes them, and nobody else should. */
static void an_epoch_that_is_none_is_not_believed(void **state)
{
    (void)state;
    struct sluice *a = host();
    struct ring_view view;
    assert_int_equal(view_open(folder, &view), 0);
    atomic_store(&view.ring->reader.epoch, UINT32_MAX);
    atomic_store(&view.ring->reader.told_shed, UINT64_MAX);
    struct engine *e = reader();
    struct engine_rings rings;
    put(a, sluice_sequence(a), 1, 0, 2);
    struct engine_batch batch = batch_of(e, 2);
    assert_int_equal(batch.ids[0].sequence >> RING_NUMBER_BITS, 1);
    engine_rings(e, &rings);
    assert_int_equal(rings.lost_rows, 0);
    sluice_close(a);
    engine_close(e);
    view_close(&view);
}

/* Its clock was set back, or it lies: rows would stay for longer than they may. */
static void a_row_of_the_future_is_of_now(void **state)
{
    (void)state;
    struct sluice *a = host();
    struct ring_view view;
    struct timespec now;
    put(a, sluice_sequence(a), 1, 0, 2);
    assert_int_equal(view_open(folder, &view), 0);
    view_next(&view)->captured_ns = UINT64_MAX;
    struct engine *e = reader();
    struct engine_batch batch = batch_of(e, 2);
    clock_gettime(CLOCK_REALTIME, &now);
    for (int i = 0; i < 2; i++)
        assert_true(batch.captured_ns[i] / 1000000000u <= (uint64_t)now.tv_sec);
    sluice_close(a);
    engine_close(e);
    view_close(&view);
}

/* One more than a reader takes at once. */
static void a_program_too_many_is_taken_when_there_is_room(void **state)
{
    (void)state;
    enum { PROGRAMS = 65 };
    struct sluice *s[PROGRAMS];
    struct engine_batch batch;
    uint32_t rows = 0;
    for (int i = 0; i < PROGRAMS; i++) s[i] = host();
    struct engine *e = reader();
    for (int i = 0; i < PROGRAMS; i++) put(s[i], sluice_sequence(s[i]), 1, 0, 1);
    while (engine_next(e, &batch) == ERR_OK) rows += (uint32_t)batch.rows;
    assert_int_equal(rows, PROGRAMS - 1);
    assert_non_null(strstr(told, "programs write to this stream already"));
    for (int i = 0; i < PROGRAMS; i++) sluice_close(s[i]);
    for (int tries = 0; rows < PROGRAMS && tries < 20; tries++)
        if (engine_next(e, &batch) == ERR_OK) rows += (uint32_t)batch.rows;
    assert_int_equal(rows, PROGRAMS);
    engine_close(e);
}

static void files_that_are_no_rings(void **state)
{
    (void)state;
    struct sluice *a = host();
    char path[600], copy[600], link[600];
    files(RING_SUFFIX, path, sizeof path);
    struct ring_facts facts;
    FILE *f = fopen(path, "r");
    assert_int_equal(fread(&facts, sizeof facts, 1, f), 1);
    fclose(f);
    snprintf(copy, sizeof copy, "%s/damaged" RING_SUFFIX, folder);
    snprintf(link, sizeof link, "%s/link" RING_SUFFIX, folder);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    facts.records *= 2; /* more than the file has */
    f = fopen(copy, "w");
    fwrite(&facts, sizeof facts, 1, f);
    fclose(f);
    chmod(copy, 0600);
    struct engine *e = reader();
    struct engine_rings rings;
    engine_rings(e, &rings);
    assert_int_equal(rings.rings, 1);
    assert_non_null(strstr(told, "damaged" RING_SUFFIX));
    assert_non_null(strstr(told, "link" RING_SUFFIX));
    told[0] = '\0';
    struct engine_batch batch;
    for (int i = 0; i < 5; i++) engine_next(e, &batch);
    assert_string_equal(told, ""); /* once */
    unlink(copy);
    unlink(link);
    sluice_close(a);
    engine_close(e);
}

static void one_reader_at_a_time(void **state)
{
    (void)state;
    struct sluice *a = host();
    struct engine *e = reader(), *second;
    struct engine_options o = reader_options();
    assert_int_equal(engine_open(&o, &second), ERR_EXISTS);
    assert_non_null(strstr(err_text(), folder));
    sluice_close(a);
    engine_close(e);
}

static void without_a_program_it_says_what_to_do(void **state)
{
    (void)state;
    struct engine_options o = reader_options();
    struct engine *e;
    assert_int_equal(engine_open(&o, &e), ERR_AGAIN);
    assert_non_null(strstr(err_text(), "sluice tap"));
}

static void what_was_shed_is_told_once(void **state)
{
    (void)state;
    struct sluice *a = host();
    struct engine *e = reader();
    struct engine_rings rings;
    uint64_t sequence = sluice_sequence(a);
    uint32_t taken = put(a, sequence, 1, 0, 4096);
    assert_true(taken < 4096);
    batch_of(e, taken);
    engine_rings(e, &rings);
    assert_int_equal(rings.lost_rows, 4096 - taken);
    engine_close(e);
    e = reader(); /* that one ended before they were counted */
    is_empty(e);
    engine_rings(e, &rings);
    assert_int_equal(rings.lost_rows, 4096 - taken);
    engine_rings_counted(e);
    engine_close(e);
    e = reader();
    is_empty(e);
    engine_rings(e, &rings);
    assert_int_equal(rings.lost_rows, 0);
    assert_int_equal(rings.count[RING_SHED], 4096 - taken);
    sluice_close(a);
    engine_close(e);
}

/* With the ring what it shed would be gone. */
static void a_ring_stays_until_what_it_shed_is_counted(void **state)
{
    (void)state;
    char path[1024];
    struct sluice *a = host();
    uint64_t sequence = sluice_sequence(a);
    uint32_t taken = put(a, sequence, 1, 0, 4096);
    struct engine *e = reader();
    struct engine_rings rings;
    batch_of(e, taken);
    sluice_close(a);
    for (int i = 0; i < 5; i++) is_empty(e);
    assert_int_equal(files(RING_SUFFIX, path, sizeof path), 1);
    engine_rings(e, &rings);
    assert_int_equal(rings.lost_rows, 4096 - taken);
    engine_rings_counted(e);
    for (int i = 0; i < 5; i++) is_empty(e);
    assert_int_equal(files(RING_SUFFIX, path, sizeof path), 0);
    engine_close(e);
}

/* Some of it after the last look of a reader. */
static void what_was_shed_in_between_is_told_once(void **state)
{
    (void)state;
    struct sluice *a = host();
    struct engine *e = reader();
    struct engine_rings rings;
    uint64_t sequence = sluice_sequence(a), lost;
    uint32_t taken = put(a, sequence, 1, 0, 4096);
    batch_of(e, taken);
    taken = put(a, sequence, 1, 4096, 4096);
    engine_rings(e, &rings);
    lost = rings.lost_rows;
    engine_rings_counted(e);
    engine_close(e);
    e = reader();
    batch_of(e, taken);
    engine_rings(e, &rings);
    assert_int_equal(lost + rings.lost_rows, counted(a).shed_rows);
    sluice_close(a);
    engine_close(e);
}

static void what_a_program_died_over_is_removed(void **state)
{
    (void)state;
    char path[600];
    snprintf(path, sizeof path, "%s/7-0" RING_SUFFIX ".new", folder);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    struct sluice *a = host();
    struct engine *e = reader();
    assert_int_equal(files(".new", NULL, 0), 1); /* perhaps it is just being made */
    struct timespec old[2] = {{1000000000, 0}, {1000000000, 0}};
    futimens(fd, old);
    close(fd);
    engine_close(e);
    e = reader();
    assert_int_equal(files(".new", NULL, 0), 0);
    sluice_close(a);
    engine_close(e);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_folder, drop_folder)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(rows_of_two_programs_keep_their_names),
        CASE(a_reader_that_comes_back_gives_no_name_twice),
        CASE(what_was_read_is_wiped),
        CASE(limits_of_the_stream_hold),
        CASE(a_program_that_dies_leaves_nothing),
        CASE(a_program_that_ends_takes_its_ring_along),
        CASE(a_stream_that_ends_tells_its_programs),
        CASE(rows_of_another_kind_are_refused),
        CASE(a_models_file_is_told_by_what_was_loaded),
        CASE(who_does_not_tell_its_model_is_refused),
        CASE(what_is_refused_is_wiped_and_removed),
        CASE(a_copy_of_a_ring_is_left_unread),
        CASE(an_epoch_that_is_none_is_not_believed),
        CASE(a_row_of_the_future_is_of_now),
        CASE(a_program_too_many_is_taken_when_there_is_room),
        CASE(files_that_are_no_rings),
        CASE(one_reader_at_a_time),
        CASE(without_a_program_it_says_what_to_do),
        CASE(what_was_shed_is_told_once),
        CASE(a_ring_stays_until_what_it_shed_is_counted),
        CASE(what_was_shed_in_between_is_told_once),
        CASE(what_a_program_died_over_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
