/* Event files: their framing, what a new life tells readers, a record that a kill has torn, a step that
 * comes again, how many files there may be, a disk that takes nothing. tests/interop/test_curves.py has
 * the real reader. */
#include "trainer/events.h"

#include "base/err.h"
#include "base/fileio.h"
#include "trainer/event.pb-c.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATHS = 64, WALL = 1700000000 };

static char dir[64], folder[96], paths[PATHS][384];
static int files;

static struct events *open_at(uint64_t steps)
{
    struct events *e;
    uint64_t cut;
    assert_int_equal(events_new(folder, steps, &e), ERR_OK);
    if (events_take_up(e, &cut) != ERR_OK) fail_msg("%s", err_text());
    return e;
}

static int add(struct events *e, uint64_t steps, double loss)
{
    struct events_point p = {.steps = steps, .wall_seconds = WALL + 0.5, .scalars = 2};
    p.scalar[0] = (struct events_scalar){"train/loss", loss};
    p.scalar[1] = (struct events_scalar){"train/fve", NAN};
    return events_add(e, &p);
}

/* One life with one point. */
static void live(uint64_t from, uint64_t steps, double loss)
{
    struct events *e = open_at(from);
    if (add(e, steps, loss) != ERR_OK) fail_msg("%s", err_text());
    events_free(e);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void find_files(void)
{
    DIR *d = opendir(folder);
    struct dirent *entry;
    files = 0;
    while (d && (entry = readdir(d)))
        if (entry->d_name[0] != '.' && files < PATHS)
            snprintf(paths[files++], sizeof paths[0], "%s/%s", folder, entry->d_name);
    if (d) closedir(d);
    qsort(paths, (size_t)files, sizeof paths[0], by_name);
}

/* By the definition, bit by bit: the polynomial of Castagnoli, reflected. */
static uint32_t checksum(const uint8_t *data, size_t bytes)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static uint32_t little(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* "v" for the version, "s5" for START at 5, "5=0.25" for a point: what a reader meets in a file. */
static void told(const char *path, char *out)
{
    char *data;
    size_t bytes, at = 0;
    assert_int_equal(file_read(path, 1 << 20, &data, &bytes), ERR_OK);
    const uint8_t *in = (const uint8_t *)data;
    for (out[0] = '\0'; at < bytes;) {
        uint32_t length = little(in + at);
        assert_int_equal(little(in + at + 4), 0);
        assert_true(at + length + 16 <= bytes);
        assert_int_equal(little(in + at + 8), checksum(in + at, 8));
        assert_int_equal(little(in + at + 12 + length), checksum(in + at + 12, length));
        Event__Record *r = event__record__unpack(NULL, length, in + at + 12);
        assert_non_null(r);
        assert_true(r->wall_time == WALL + 0.5);
        if (r->file_version) strcat(out, strcmp(r->file_version, "brain.Event:2") ? "? " : "v ");
        if (r->session) sprintf(out + strlen(out), "s%lld ", (long long)r->step);
        for (size_t i = 0; r->summary && i < r->summary->n_value; i++) {
            assert_string_equal(r->summary->value[i]->tag, "train/loss");
            sprintf(out + strlen(out), "%lld=%g ", (long long)r->step,
                    r->summary->value[i]->number);
        }
        event__record__free_unpacked(r, NULL);
        at += length + 16;
    }
    free(data);
}

static void file_tells(int i, const char *wanted)
{
    char out[1024];
    find_files();
    assert_true(i < files);
    told(paths[i], out);
    assert_string_equal(out, wanted);
}

/* The value that RFC 3720 (B.4) names for 32 zeros, and "123456789", as they are often quoted. */
static void the_test_knows_the_checksum(void **state)
{
    (void)state;
    static const uint8_t zeros[32];
    uint32_t crc = 0x8a9136aau;
    assert_int_equal(checksum(zeros, 32), (crc >> 15 | crc << 17) + 0xa282ead8u);
    crc = 0xe3069283u;
    assert_int_equal(checksum((const uint8_t *)"123456789", 9),
                     (crc >> 15 | crc << 17) + 0xa282ead8u);
}

static void a_file_is_framed_and_private(void **state)
{
    (void)state;
    struct stat st;
    struct events *e = open_at(0);
    find_files();
    assert_int_equal(files, 0); /* nothing before the first point */
    assert_int_equal(add(e, 1, 0.25), ERR_OK);
    assert_int_equal(add(e, 3, 0.5), ERR_OK);
    events_free(e);
    file_tells(0, "v s1 1=0.25 3=0.5 ");
    assert_int_equal(files, 1);
    assert_int_equal(stat(paths[0], &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void a_new_life_takes_back_what_is_behind_its_checkpoint(void **state)
{
    (void)state;
    live(0, 9, 0.25);
    live(5, 8, 0.5);
    live(8, 12, 0.75);
    file_tells(0, "v s1 9=0.25 ");
    file_tells(1, "v s6 8=0.5 "); /* a name behind the first, in the same second */
    file_tells(2, "v s9 12=0.75 ");
    live(0, 1, 1); /* none of them counts */
    file_tells(0, "v s1 1=1 ");
    assert_int_equal(files, 1);
}

static void what_a_kill_has_torn_is_cut(void **state)
{
    (void)state;
    char *data, *whole;
    size_t bytes, first;
    live(0, 1, 0.25);
    file_tells(0, "v s1 1=0.25 ");
    assert_int_equal(file_read(paths[0], 1 << 20, &whole, &first), ERR_OK);
    struct events *e = open_at(1);
    assert_int_equal(add(e, 2, 0.5), ERR_OK);
    assert_int_equal(add(e, 3, 0.5), ERR_OK);
    events_free(e);
    file_tells(1, "v s2 2=0.5 3=0.5 ");
    assert_int_equal(file_read(paths[1], 1 << 20, &data, &bytes), ERR_OK);
    for (size_t cut = 1; cut < 16; cut += 3) { /* within head, message and tail of the last */
        assert_int_equal(truncate(paths[1], (off_t)(bytes - cut)), 0);
        events_free(open_at(3));
        file_tells(1, "v s2 2=0.5 ");
        FILE *file = fopen(paths[1], "w");
        assert_int_equal(fwrite(data, 1, bytes, file), bytes);
        assert_int_equal(fclose(file), 0);
    }
    data[bytes - 6] ^= 1; /* a message that is not as it was written */
    FILE *file = fopen(paths[1], "w");
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
    events_free(open_at(3));
    file_tells(1, "v s2 2=0.5 ");
    file_tells(0, "v s1 1=0.25 ");
    free(data);
    free(whole);
}

static void a_step_that_comes_again_takes_the_place_of_its_point(void **state)
{
    (void)state;
    struct events *e = open_at(0);
    assert_int_equal(add(e, 4, 0.25), ERR_OK);
    assert_int_equal(add(e, 4, 0.5), ERR_OK);
    assert_int_equal(add(e, 5, 0.75), ERR_OK);
    events_free(e);
    file_tells(0, "v s1 4=0.25 s4 4=0.5 5=0.75 ");
}

static void files_are_few(void **state)
{
    (void)state;
    for (int i = 0; i < EVENTS_FILES + 3; i++) live((uint64_t)i, (uint64_t)i + 1, 0.25);
    file_tells(EVENTS_FILES - 1, "v s32 32=0.25 s33 33=0.25 s34 34=0.25 s35 35=0.25 ");
    assert_int_equal(files, EVENTS_FILES);
}

static void a_life_without_a_point_leaves_no_file(void **state)
{
    (void)state;
    live(0, 1, 0.25);
    events_free(open_at(1));
    events_free(open_at(1));
    find_files();
    assert_int_equal(files, 1);
}

static void a_full_disk_leaves_a_gap(void **state)
{
    (void)state;
    struct rlimit before, low;
    struct stat st;
    struct events *e = open_at(0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    low = (struct rlimit){10, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &low);
    for (uint64_t step = 1; step < 5; step++)
        assert_int_equal(add(e, step, 0.25), ERR_IO); /* of this limit: EFBIG */
    find_files();
    assert_int_equal(files, 1); /* not one for each try */
    assert_int_equal(stat(paths[0], &st), 0);
    assert_int_equal(st.st_size, 0);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(add(e, 5, 0.5), ERR_OK);
    file_tells(0, "v s1 5=0.5 ");
    assert_int_equal(stat(paths[0], &st), 0);
    low.rlim_cur = (rlim_t)st.st_size + 10;
    setrlimit(RLIMIT_FSIZE, &low);
    assert_int_equal(add(e, 6, 0.5), ERR_IO);
    setrlimit(RLIMIT_FSIZE, &before);
    file_tells(0, "v s1 5=0.5 ");
    assert_int_equal(add(e, 7, 0.75), ERR_OK);
    events_free(e);
    file_tells(0, "v s1 5=0.5 7=0.75 ");
}

static void a_file_that_was_taken_away_begins_anew(void **state)
{
    (void)state;
    struct events *e = open_at(0);
    assert_int_equal(add(e, 1, 0.25), ERR_OK);
    find_files();
    assert_int_equal(unlink(paths[0]), 0);
    assert_int_equal(add(e, 2, 0.25), ERR_NOTFOUND); /* told, and looked at anew */
    assert_int_equal(add(e, 3, 0.5), ERR_OK);
    events_free(e);
    file_tells(0, "v s2 3=0.5 ");
}

static void a_histogram_is_written_as_it_is(void **state)
{
    (void)state;
    const float values[] = {1, 2, 2, 5};
    struct histogram h;
    char *data;
    size_t bytes, at = 0;
    histogram_make_about(values, 4, &h);
    struct events_point p = {.steps = 2, .wall_seconds = WALL, .histograms = 1};
    p.histogram[0].tag = "features/decoder_norm";
    p.histogram[0].values = &h;
    struct events *e = open_at(0);
    assert_int_equal(events_add(e, &p), ERR_OK);
    events_free(e);
    find_files();
    assert_int_equal(file_read(paths[0], 1 << 20, &data, &bytes), ERR_OK);
    const uint8_t *in = (const uint8_t *)data;
    while (at + little(in + at) + 16 < bytes) at += little(in + at) + 16;
    Event__Record *r = event__record__unpack(NULL, little(in + at), in + at + 12);
    const Event__Histogram *read = r->summary->value[0]->histogram;
    assert_true(read->min == 1 && read->max == 5 && read->num == 4);
    assert_true(read->sum == 10 && read->sum_squares == 34);
    assert_int_equal(read->n_bucket, HISTOGRAM_BUCKETS);
    assert_memory_equal(read->bucket, h.count, sizeof h.count);
    assert_memory_equal(read->bucket_limit, h.limit, sizeof h.limit);
    event__record__free_unpacked(r, NULL);
    free(data);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/sluice-events-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(folder, sizeof folder, "%s/tensorboard/one", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_test_knows_the_checksum),
        TEST(a_file_is_framed_and_private),
        TEST(a_new_life_takes_back_what_is_behind_its_checkpoint),
        TEST(what_a_kill_has_torn_is_cut),
        TEST(a_step_that_comes_again_takes_the_place_of_its_point),
        TEST(files_are_few),
        TEST(a_life_without_a_point_leaves_no_file),
        TEST(a_full_disk_leaves_a_gap),
        TEST(a_file_that_was_taken_away_begins_anew),
        TEST(a_histogram_is_written_as_it_is),
    };
    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
