#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fileio.h"
#include "sae/checkpoint.h"
#include "sae/dictionary.h"

#include "helper.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/sluice-checkpoint-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return dir_remove(folder);
}

static void path_of(char *path, uint64_t step)
{
    snprintf(path, 128, "%s/checkpoint-%016llu.sluice", folder, (unsigned long long)step);
}

static void write_one(uint64_t step, unsigned keep)
{
    struct checkpoint_writer *writer;
    assert_int_equal(checkpoint_begin(folder, step, &writer), ERR_OK);
    assert_int_equal(checkpoint_put(writer, "caller", "some state", 10), ERR_OK);
    assert_int_equal(checkpoint_put(writer, "empty", NULL, 0), ERR_OK);
    assert_int_equal(checkpoint_put(writer, "step", &step, sizeof step), ERR_OK);
    assert_int_equal(checkpoint_commit(writer, keep), ERR_OK);
}

/* Flip one bit of a file. */
static void damage(const char *path, long at)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    int c = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(c ^ 4, file);
    fclose(file);
}

static void what_was_put_is_found(void **state)
{
    (void)state;
    struct checkpoint *c;
    struct stat st;
    const void *data;
    char path[128];
    unsigned damaged;
    size_t bytes;
    write_one(7, 2);
    path_of(path, 7);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(checkpoint_newest(folder, &c, &damaged), ERR_OK);
    assert_int_equal(damaged, 0);
    assert_int_equal(checkpoint_step(c), 7);
    assert_string_equal(checkpoint_path(c), path);
    assert_int_equal(checkpoint_sections(c), 3);
    assert_string_equal(checkpoint_section(c, 1), "empty");
    assert_null(checkpoint_section(c, 3));
    assert_int_equal(checkpoint_find(c, "caller", &data, &bytes), ERR_OK);
    assert_int_equal(bytes, 10);
    assert_memory_equal(data, "some state", 10);
    assert_int_equal((uintptr_t)data % 64, 0);
    assert_int_equal(checkpoint_find(c, "empty", &data, &bytes), ERR_OK);
    assert_int_equal(bytes, 0);
    assert_int_equal(checkpoint_find(c, "nothing", &data, &bytes), ERR_NOTFOUND);
    checkpoint_close(c);
}

static void every_truncation_and_bit_flip_is_refused(void **state)
{
    (void)state;
    char path[128], *data;
    size_t bytes;
    struct checkpoint *c;
    write_one(1, 1);
    path_of(path, 1);
    assert_int_equal(file_read(path, 10000, &data, &bytes), ERR_OK);
    char *copy = aligned_alloc(64, (bytes + 128) / 64 * 64);
    for (size_t n = 0; n < bytes; n++) {
        memcpy(copy, data, bytes);
        assert_int_not_equal(checkpoint_parse(copy, n, &c), ERR_OK);
    }
    memcpy(copy, data, bytes);
    memset(copy + bytes, 0, 64);
    assert_int_not_equal(checkpoint_parse(copy, bytes + 1, &c), ERR_OK); /* nor may more follow */
    assert_int_not_equal(checkpoint_parse(copy, bytes + 64, &c), ERR_OK);
    for (size_t bit = 0; bit < bytes * 8; bit++) {
        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        int code = checkpoint_parse(copy, bytes, &c);
        if (code == ERR_OK) fail_msg("bit %zu of byte %zu was not noticed", bit % 8, bit / 8);
        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
    }
    assert_int_equal(checkpoint_parse(copy, bytes, &c), ERR_OK);
    checkpoint_close(c);
    /* Whole sections exchanged or left out, each with a right checksum of its own. */
    size_t section = 128, first = 64, second = 64 + section;
    memcpy(copy + first, data + second, 64);
    memcpy(copy + first + 64, data + first, section);
    assert_int_not_equal(checkpoint_parse(copy, bytes, &c), ERR_OK);
    memcpy(copy + first, data + first + section, bytes - first - section);
    assert_int_not_equal(checkpoint_parse(copy, bytes - section, &c), ERR_OK);
    free(copy);
    free(data);
}

static void the_last_ones_are_kept(void **state)
{
    (void)state;
    char path[128], leftover[200];
    uint64_t there[] = {30, 40}, gone[] = {10, 20, 99};
    path_of(path, 99);
    assert_int_equal(file_replace(path, "of a run that was taken back", 28), ERR_OK);
    snprintf(leftover, sizeof leftover, "%s.tmp.a1B2c3", path);
    assert_int_equal(file_replace(leftover, "half", 4), ERR_OK);
    for (uint64_t step = 10; step <= 40; step += 10) write_one(step, 2);
    for (int i = 0; i < 2; i++) {
        path_of(path, there[i]);
        assert_int_equal(access(path, F_OK), 0);
    }
    for (int i = 0; i < 3; i++) {
        path_of(path, gone[i]);
        assert_int_equal(access(path, F_OK), -1);
    }
    assert_int_equal(access(leftover, F_OK), -1);
}

static void a_damaged_newest_is_reported_and_the_one_before_used(void **state)
{
    (void)state;
    char path[128];
    unsigned damaged;
    struct checkpoint *c;
    write_one(50, 3);
    write_one(60, 3);
    write_one(70, 3);
    path_of(path, 70);
    damage(path, 130);
    path_of(path, 60);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(checkpoint_newest(folder, &c, &damaged), ERR_OK);
    assert_int_equal(damaged, 2);
    assert_int_equal(checkpoint_step(c), 50);
    assert_non_null(strstr(err_text(), "0070.sluice"));
    checkpoint_close(c);
    path_of(path, 50);
    damage(path, 3);
    assert_int_equal(checkpoint_newest(folder, &c, &damaged), ERR_CORRUPT);
    assert_int_equal(damaged, 3);
    print_message("%s\n", err_text()); /* each file, with what is wrong with it */
    assert_non_null(strstr(err_text(), folder));
    assert_non_null(strstr(err_text(), "0070.sluice (section 'caller' is damaged)"));
    assert_non_null(strstr(err_text(), "0060.sluice (100 bytes are too few)"));
    assert_non_null(strstr(err_text(), "0050.sluice (not a checkpoint)"));
}

static void many_damaged_ones_leave_room_for_a_hint(void **state)
{
    (void)state;
    struct checkpoint *c;
    unsigned damaged;
    char deep[1024], name[201], path[1200];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    snprintf(deep, sizeof deep, "%s", folder);
    for (int i = 0; i < 3; i++) {
        snprintf(deep + strlen(deep), sizeof deep - strlen(deep), "/%s", name);
        assert_int_equal(dir_make(deep, 0700), ERR_OK);
    }
    for (int i = 1; i <= 5; i++) {
        snprintf(path, sizeof path, "%s/checkpoint-%016d.sluice", deep, i);
        assert_int_equal(file_replace(path, "", 0), ERR_OK);
    }
    assert_int_equal(checkpoint_newest(deep, &c, &damaged), ERR_CORRUPT);
    assert_true(strlen(err_text()) < 760); /* of 1023 */
    assert_non_null(strstr(err_text(), "0005.sluice (it is empty)"));
    assert_non_null(strstr(err_text(), "0003.sluice (it is empty) and 2 more"));
}

static void a_pipe_is_no_checkpoint(void **state)
{
    (void)state;
    struct checkpoint *c;
    unsigned damaged;
    char path[128], *data;
    size_t bytes;
    path_of(path, 5);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(10); /* an open() that waits for a writer would never return */
    assert_int_equal(checkpoint_newest(folder, &c, &damaged), ERR_IO);
    assert_int_equal(file_read(path, 100, &data, &bytes), ERR_IO);
    alarm(0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("nowhere", path), 0); /* there is one, which is not read */
    assert_int_equal(checkpoint_newest(folder, &c, &damaged), ERR_CORRUPT);
    assert_non_null(strstr(err_text(), folder));
    assert_non_null(strstr(err_text(), "(it is a symbolic link)"));
    assert_non_null(strstr(err_text(), strrchr(path, '/') + 1));
    write_one(4, 9);
    assert_int_equal(symlink("nowhere", path), 0); /* the writer removes those of higher steps */
    assert_int_equal(checkpoint_newest(folder, &c, &damaged), ERR_OK);
    assert_int_equal(damaged, 1);
    checkpoint_close(c);
}

static void no_checkpoint_is_not_damage(void **state)
{
    (void)state;
    unsigned damaged;
    struct checkpoint *c;
    char path[128];
    assert_int_equal(checkpoint_newest(folder, &c, &damaged), ERR_NOTFOUND);
    snprintf(path, sizeof path, "%s/missing", folder);
    assert_int_equal(checkpoint_newest(path, &c, &damaged), ERR_NOTFOUND);
    snprintf(path, sizeof path, "%s/checkpoint-12.sluice", folder); /* not one of our names */
    assert_int_equal(file_replace(path, "x", 1), ERR_OK);
    assert_int_equal(checkpoint_newest(folder, &c, &damaged), ERR_NOTFOUND);
}

static void an_aborted_or_failed_writer_leaves_nothing(void **state)
{
    (void)state;
    struct checkpoint_writer *writer;
    struct checkpoint *c;
    unsigned damaged;
    char path[128], long_name[60];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(checkpoint_begin(folder, 1, &writer), ERR_OK);
    assert_int_equal(checkpoint_put(writer, "a", "x", 1), ERR_OK);
    checkpoint_abort(writer);
    assert_int_equal(checkpoint_begin(folder, 1, &writer), ERR_OK);
    assert_int_equal(checkpoint_put(writer, "a", "x", 1), ERR_OK);
    assert_int_equal(checkpoint_put(writer, "a", "x", 1), ERR_EXISTS);
    assert_int_equal(checkpoint_put(writer, "b", "x", 1), ERR_EXISTS); /* the first one stays */
    assert_int_equal(checkpoint_commit(writer, 1), ERR_EXISTS);
    assert_int_equal(checkpoint_begin(folder, 1, &writer), ERR_OK);
    assert_int_equal(checkpoint_put(writer, long_name, "x", 1), ERR_LIMIT);
    assert_int_equal(checkpoint_commit(writer, 1), ERR_LIMIT);
    assert_int_equal(checkpoint_newest(folder, &c, &damaged), ERR_NOTFOUND);
    snprintf(path, sizeof path, "%s/checkpoint-%016d.sluice.tmp.*", folder, 1);
    glob_t left;
    assert_int_equal(glob(path, 0, NULL, &left), GLOB_NOMATCH);
    snprintf(path, sizeof path, "%s/missing", folder);
    assert_int_equal(checkpoint_begin(path, 1, &writer), ERR_IO);
}

static struct sae *made(int kind)
{
    struct sae_options o = kind_options(kind, 21);
    struct sae *sae;
    o.features = kind == KIND_COUNT ? 0 : 300;
    o.k = kinds[kind].activation == SAE_L1 || kind == KIND_COUNT ? 0 : 6;
    o.planned_steps = 20; /* so that both halves have their own rates */
    o.warmup = 0.2;
    o.decoder_lr_factor = 1.5;
    o.dead_window_rows = 700;
    o.threads = 2;
    o.batch_rows = 256;
    o.seed = 1;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    return sae;
}

static void train_from(struct sae *sae, int first, int steps)
{
    enum { ROWS = 256, WIDTH = 21 };
    static float x[ROWS * WIDTH];
    struct row_id ids[ROWS];
    struct sae_step step;
    for (int i = first; i < first + steps; i++) {
        struct rng rng;
        rng_seed(&rng, (uint64_t)i);
        for (int j = 0; j < ROWS * WIDTH; j++) x[j] = (float)rng_normal(&rng);
        for (uint32_t r = 0; r < ROWS; r++) ids[r] = (struct row_id){rng_below(&rng, 50), r % 9, 0};
        if (i % 5 == 3) x[7] = NAN; /* a skipped step is a part of the story */
        assert_int_equal(sae_train(sae, &(struct sae_batch){x, ids, ROWS}, &step), ERR_OK);
    }
}

static int same_count(void *arg, uint64_t sequence, uint32_t position, uint32_t count)
{
    return sae_count_of(arg, sequence, position) != count;
}

static void assert_same(struct sae *a, struct sae *b)
{
    assert_int_equal(sae_steps(a), sae_steps(b));
    assert_int_equal(sae_skipped(a), sae_skipped(b));
    if (sae_options(a)->arch == SAE_COUNT) {
        assert_int_equal(sae_count_visit(a, same_count, b), 0);
        assert_int_equal(sae_count_visit(b, same_count, a), 0);
        return;
    }
    const struct dictionary *x = a->state, *y = b->state;
    assert_memory_equal(x->e.w.all, y->e.w.all, x->e.w.count * sizeof(float));
    assert_memory_equal(x->m.all, y->m.all, x->m.count * sizeof(float));
    assert_memory_equal(x->v.all, y->v.all, x->v.count * sizeof(float));
    assert_memory_equal(x->silent_rows, y->silent_rows, 300 * sizeof *x->silent_rows);
    if (x->e.threshold)
        assert_memory_equal(x->e.threshold, y->e.threshold, 300 * sizeof *x->e.threshold);
    assert_true(x->floor == y->floor);
}

/* So few features fire that l1 goes by lists, which a fresh one does not: the choice is a part of
 * what must be taken up again. */
static void be_sparse(struct sae *sae)
{
    struct dictionary *d = sae->state;
    for (uint32_t f = 0; f < d->e.features; f++) d->e.w.b_enc[f] = -0.15f;
}

static void a_resumed_run_ends_bit_for_bit_as_one_that_never_stopped(void **state)
{
    (void)state;
    struct sae *through[KINDS], *stopped[KINDS], *resumed[KINDS];
    struct checkpoint_writer *writer;
    struct checkpoint *c;
    unsigned damaged;
    char name[16];
    for (int kind = 0; kind < KINDS; kind++) {
        through[kind] = made(kind);
        stopped[kind] = made(kind);
        resumed[kind] = made(kind);
        if (kind == 0) {
            be_sparse(through[kind]);
            be_sparse(stopped[kind]);
        }
        train_from(through[kind], 0, 20);
        train_from(stopped[kind], 0, 9);
        train_from(resumed[kind], 100, 2); /* what it holds before must leave no trace */
        if (kind == 0) assert_int_equal(((struct dictionary *)stopped[kind]->state)->dense, 0);
    }
    assert_int_equal(checkpoint_begin(folder, 9, &writer), ERR_OK);
    for (int kind = 0; kind < KINDS; kind++) { /* several SAEs in one file */
        snprintf(name, sizeof name, "sae.%d", kind);
        assert_int_equal(sae_save(stopped[kind], writer, name), ERR_OK);
    }
    assert_int_equal(checkpoint_commit(writer, 1), ERR_OK);
    assert_int_equal(checkpoint_newest(folder, &c, &damaged), ERR_OK);
    for (int kind = 0; kind < KINDS; kind++) {
        struct sae_options saved;
        snprintf(name, sizeof name, "sae.%d", kind);
        assert_int_equal(sae_load(resumed[kind], c, name), ERR_OK);
        assert_same(stopped[kind], resumed[kind]);
        assert_int_equal(sae_saved_options(c, name, &saved), ERR_OK);
        assert_int_equal(saved.arch, kinds[kind].arch);
        assert_int_equal(saved.activation, kinds[kind].activation);
        assert_true(saved.learning_rate == sae_options(stopped[kind])->learning_rate);
        assert_true(saved.decoder_lr_factor == 1.5);
        assert_int_equal(saved.planned_steps, 20);
        int next = (kind + 1) % KINDS, alike = kinds[next].arch == kinds[kind].arch;
        struct sae *other = made(next);
        assert_int_equal(sae_load(other, c, name), ERR_MISMATCH);
        assert_non_null(strstr(err_text(), alike ? "activation" : "arch"));
        sae_free(other);
    }
    assert_int_equal(sae_load(resumed[0], c, "sae.99"), ERR_NOTFOUND);
    checkpoint_close(c);
    for (int kind = 0; kind < KINDS; kind++) {
        train_from(resumed[kind], 9, 11);
        assert_same(through[kind], resumed[kind]);
        sae_free(through[kind]);
        sae_free(stopped[kind]);
        sae_free(resumed[kind]);
    }
}

/* A whole file with right checksums, whose parts no training has written: refused by the section's
 * name, and the SAE is as it was. */
static void values_that_no_training_writes_are_refused(void **state)
{
    (void)state;
    static const struct {
        int kind;
        const char *part;
        float value;
    } bad[] = {{1, "weights", NAN},   {1, "weights", INFINITY}, {1, "moment1", -INFINITY},
               {1, "moment2", NAN},   {1, "moment2", -1},       {1, "weights", 0},
               {1, "silent_rows", 0}, {1, "progress", 0},       {KIND_COUNT, "counters", 0}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct checkpoint_writer *writer;
        struct checkpoint *c;
        unsigned damaged;
        struct sae *sae = made(bad[i].kind), *other = made(bad[i].kind), *same = made(bad[i].kind);
        char section[64];
        size_t at;
        train_from(sae, 0, 2);
        assert_int_equal(checkpoint_begin(folder, 2, &writer), ERR_OK);
        assert_int_equal(sae_save(sae, writer, "sae.0"), ERR_OK);
        assert_int_equal(checkpoint_commit(writer, 1), ERR_OK);
        assert_int_equal(checkpoint_newest(folder, &c, &damaged), ERR_OK);
        snprintf(section, sizeof section, "sae.0.%s", bad[i].part);
        assert_int_equal(checkpoint_begin(folder, 3, &writer), ERR_OK);
        for (at = 0; at < checkpoint_sections(c); at++) {
            const void *data;
            size_t bytes;
            const char *name = checkpoint_section(c, at);
            assert_int_equal(checkpoint_find(c, name, &data, &bytes), ERR_OK);
            float *copy = malloc(bytes + 16);
            memcpy(copy, data, bytes);
            if (strcmp(name, section) == 0 && bad[i].value != 0) copy[bytes / 8] = bad[i].value;
            if (strcmp(name, section) == 0 && bad[i].value == 0) bytes -= 3; /* another shape */
            assert_int_equal(checkpoint_put(writer, name, copy, bytes), ERR_OK);
            free(copy);
        }
        assert_int_equal(checkpoint_commit(writer, 2), ERR_OK);
        checkpoint_close(c);
        assert_int_equal(checkpoint_newest(folder, &c, &damaged), ERR_OK);
        assert_int_equal(checkpoint_step(c), 3);
        assert_int_equal(sae_load(other, c, "sae.0"), ERR_FORMAT);
        if (!strstr(err_text(), bad[i].part)) fail_msg("%s", err_text());
        assert_same(other, same);
        checkpoint_close(c);
        sae_free(sae);
        sae_free(other);
        sae_free(same);
    }
}

static void another_seed_or_size_is_refused_and_a_new_rate_is_not(void **state)
{
    (void)state;
    struct checkpoint_writer *writer;
    struct checkpoint *c;
    unsigned damaged;
    struct sae *sae = made(1), *other;
    struct sae_options o = *sae_options(sae);
    train_from(sae, 0, 2);
    assert_int_equal(checkpoint_begin(folder, 2, &writer), ERR_OK);
    assert_int_equal(sae_save(sae, writer, "sae.0"), ERR_OK);
    assert_int_equal(checkpoint_commit(writer, 1), ERR_OK);
    assert_int_equal(checkpoint_newest(folder, &c, &damaged), ERR_OK);
    o.pool = NULL;
#define TRIED(change, code, word)                                                                  \
    do {                                                                                           \
        struct sae_options was = o;                                                                \
        change;                                                                                    \
        assert_int_equal(sae_new(&o, &other), ERR_OK);                                             \
        assert_int_equal(sae_load(other, c, "sae.0"), code);                                       \
        if (code) assert_non_null(strstr(err_text(), word));                                       \
        sae_free(other);                                                                           \
        o = was;                                                                                   \
    } while (0)
    TRIED(o.seed = 2, ERR_MISMATCH, "seed: the checkpoint has 1, the configuration 2");
    TRIED(o.features = 301, ERR_MISMATCH, "features");
    TRIED(o.width = 22, ERR_MISMATCH, "width");
    TRIED(o.k = 7, ERR_MISMATCH, "k:");
    TRIED(o.k_aux = 3, ERR_MISMATCH, "k_aux");
    TRIED(o.learning_rate = 0.5, ERR_OK, "");
    TRIED(o.planned_steps = 77, ERR_OK, "");
    TRIED(o.batch_rows = 99, ERR_OK, "");
#undef TRIED
    checkpoint_close(c);
    sae_free(sae);
}

static void counters_are_dumped_in_order(void **state)
{
    (void)state;
    struct sae *sae = made(KIND_COUNT);
    struct row_id ids[] = {{7, 1, 0}, {2, 3, 0}, {7, 0, 0}, {2, 3, 0}};
    struct sae_step step;
    char path[128], *data;
    size_t bytes;
    assert_int_equal(sae_train(sae, &(struct sae_batch){NULL, ids, 4}, &step), ERR_OK);
    snprintf(path, sizeof path, "%s/counts", folder);
    assert_int_equal(sae_count_dump(sae, path), ERR_OK);
    assert_int_equal(file_read(path, 1000, &data, &bytes), ERR_OK);
    assert_string_equal(data, "2 3 2\n7 0 1\n7 1 1\n");
    free(data);
    sae_free(sae);
    sae = made(1);
    assert_int_equal(sae_count_dump(sae, path), ERR_STATE);
    sae_free(sae);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(what_was_put_is_found),
        TEST(every_truncation_and_bit_flip_is_refused),
        TEST(the_last_ones_are_kept),
        TEST(a_damaged_newest_is_reported_and_the_one_before_used),
        TEST(many_damaged_ones_leave_room_for_a_hint),
        TEST(a_pipe_is_no_checkpoint),
        TEST(no_checkpoint_is_not_damage),
        TEST(an_aborted_or_failed_writer_leaves_nothing),
        TEST(a_resumed_run_ends_bit_for_bit_as_one_that_never_stopped),
        TEST(values_that_no_training_writes_are_refused),
        TEST(another_seed_or_size_is_refused_and_a_new_rate_is_not),
        TEST(counters_are_dumped_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
