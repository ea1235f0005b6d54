/*
 * The whole of an index over rows whose directions are known: against a straightforward computation in
 * memory; and the same bytes whatever the memory, the threads, and the moments at which it was killed.
 */
#include "tests/unit/inspect/killed_child.h"
#include "tests/unit/inspect/synthetic_subject.h"

#include "inspect/index.h"
#include "inspect/kept.h"
#include "inspect/neighbours.h"
#include "inspect/portrait.h"
#include "inspect/sorter.h"
#include "inspect/survey.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static const uint64_t MEMORY = UINT64_C(64) << 20;

static int keeps_records; /* in all that survey() makes from then on */

static int survey(const char *name, uint64_t memory_bytes, uint32_t threads, double seconds,
                  int *was_there)
{
    struct engine *engine = known_engine(KNOWN_ROWS);
    struct subject subject;
    char path[256];
    snprintf(path, sizeof path, "%s", in_folder(name));
    known_subject(threads, &subject);
    struct survey_options options = {.folder = path,
                                     .memory_bytes = memory_bytes,
                                     .commit_seconds = seconds,
                                     .keeps_records = keeps_records};
    int result = survey_make(&subject, engine, &options, was_there);
    subject_close(&subject);
    engine_close(engine);
    return result;
}

static void make(const char *name)
{
    int was_there;
    if (survey(name, MEMORY, 1, 1, &was_there) != ERR_OK) fail_msg("%s", err_text());
    assert_int_equal(was_there, 0);
}

/* ---- in memory ---- */

static float value[KNOWN_ROWS][KNOWN_FEATURES];

static void compute(void)
{
    struct engine *engine = known_engine(KNOWN_ROWS);
    struct subject s;
    struct engine_batch batch;
    struct pairs pairs;
    size_t at = 0;
    known_subject(1, &s);
    memset(value, 0, sizeof value);
    while (engine_next(engine, &batch) == ERR_OK && batch.rows) {
        assert_int_equal(subject_encode(&s, batch.values, batch.rows, &pairs), ERR_OK);
        for (size_t r = 0; r < batch.rows; r++)
            for (uint64_t i = pairs.start[r]; i < pairs.start[r + 1]; i++)
                value[at + r][pairs.feature[i]] = pairs.value[i];
        at += batch.rows;
        pairs_free(&pairs);
    }
    assert_int_equal(at, KNOWN_ROWS);
    subject_close(&s);
    engine_close(engine);
}

static uint64_t fires_at(uint32_t f)
{
    uint64_t rows = 0;
    for (int r = 0; r < KNOWN_ROWS; r++) rows += value[r][f] > 0;
    return rows;
}

static json_t *sheet_of(const struct index *x, uint32_t f)
{
    json_t *sheet;
    if (index_sheet(x, f, &sheet) != ERR_OK) fail_msg("%s", err_text());
    return sheet;
}

static int64_t integer(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

/* A context's values are those of its rows, all of one sequence. */
static int row_of(const json_t *context, uint32_t f)
{
    const json_t *values = json_object_get(context, "values"), *v;
    int64_t at = integer(context, "at"), position = integer(context, "position");
    int row = (int)(integer(context, "sequence") * KNOWN_SEQUENCE + position);
    size_t i;
    int64_t before = position < PORTRAIT_BEFORE ? position : PORTRAIT_BEFORE;
    int64_t after = KNOWN_SEQUENCE - 1 - position;
    if (after > PORTRAIT_AFTER) after = PORTRAIT_AFTER;
    if (row - position + KNOWN_SEQUENCE > KNOWN_ROWS) after = KNOWN_ROWS - 1 - row;
    if (after > PORTRAIT_AFTER) after = PORTRAIT_AFTER;
    assert_int_equal(at, before);
    assert_int_equal(json_array_size(values), before + 1 + after);
    json_array_foreach(values, i, v)
    {
        double is = json_number_value(v), should = (double)value[row - before + (int)i][f];
        if (fabs(is - should) > 1e-6 * should) fail_msg("%g, not %g", is, should);
    }
    return row;
}

/* Each sequence's largest, sorted. */
static int largest_of_sequences(uint32_t f, int *rows)
{
    int count = 0;
    for (int begin = 0; begin < KNOWN_ROWS; begin += KNOWN_SEQUENCE) {
        int best = begin;
        for (int r = begin; r < begin + KNOWN_SEQUENCE && r < KNOWN_ROWS; r++)
            if (value[r][f] > value[best][f]) best = r;
        if (!(value[best][f] > 0)) continue;
        int at = count++;
        for (; at > 0 && value[best][f] > value[rows[at - 1]][f]; at--) rows[at] = rows[at - 1];
        rows[at] = best;
    }
    return count;
}

static void check_contexts(const json_t *sheet, uint32_t f)
{
    static int rows[KNOWN_ROWS], seen[KNOWN_ROWS];
    const json_t *top = json_object_get(sheet, "top"), *c, *interval;
    const json_t *intervals = json_object_get(sheet, "intervals");
    int count = largest_of_sequences(f, rows);
    size_t i, k;
    memset(seen, 0, sizeof seen);
    assert_int_equal(json_array_size(top), count < PORTRAIT_TOP ? count : PORTRAIT_TOP);
    json_array_foreach(top, i, c)
    {
        assert_int_equal(row_of(c, f), rows[i]);
        seen[rows[i]]++;
    }
    double largest = number(sheet, "largest");
    json_array_foreach(intervals, k, interval)
    {
        uint64_t in = 0;
        int sequence[KNOWN_ROWS / KNOWN_SEQUENCE + 1] = {0};
        double from = number(interval, "from"), to = number(interval, "to");
        json_array_foreach(json_object_get(interval, "samples"), i, c)
        {
            int row = row_of(c, f);
            double v = (double)value[row][f];
            assert_true(v > from - 1e-5 * largest && v < to + 1e-5 * largest);
            assert_int_equal(seen[row]++, 0);
            assert_int_equal(sequence[row / KNOWN_SEQUENCE]++, 0);
        }
        for (int r = 0; r < KNOWN_ROWS; r++) {
            double v = (double)value[r][f] / (double)value[rows[0]][f] * 5;
            in += v > 0 && (v >= 5 ? 4 : (size_t)v) == k;
        }
        assert_int_equal(integer(interval, "rows"), in);
    }
}

static void check_together(const json_t *sheet, uint32_t f)
{
    const json_t *list = json_object_get(sheet, "together"), *o;
    double before = INFINITY, pmi[KNOWN_FEATURES];
    int better = 0;
    size_t i;
    for (uint32_t g = 0; g < KNOWN_FEATURES; g++) {
        uint64_t both = 0;
        for (int r = 0; r < KNOWN_ROWS; r++) both += value[r][f] > 0 && value[r][g] > 0;
        pmi[g] = g == f || both < NEIGHBOURS_LEAST
                     ? -INFINITY
                     : log((double)both * KNOWN_ROWS / (double)fires_at(f) / (double)fires_at(g));
    }
    double near =
        fires_at(f) <= NEIGHBOURS_ROWS ? 1e-5 : 0.25; /* beyond it a sample is looked at */
    json_array_foreach(list, i, o)
    {
        uint32_t g = (uint32_t)integer(o, "feature");
        double told = number(o, "pmi");
        if (fabs(told - pmi[g]) > near) fail_msg("features %u, %u: %g, not %g", f, g, told, pmi[g]);
        assert_true(told <= before);
        before = told;
    }
    for (uint32_t g = 0; g < KNOWN_FEATURES; g++) better += pmi[g] > before + near;
    assert_true(i == NEIGHBOURS ? better < NEIGHBOURS : better <= (int)i);
}

static void check_alike(const json_t *sheet, const struct subject *s, uint32_t f)
{
    const json_t *list = json_object_get(sheet, "alike"), *o;
    double before = 2, cosine[KNOWN_FEATURES];
    int better = 0;
    size_t i;
    for (uint32_t g = 0; g < KNOWN_FEATURES; g++) {
        cosine[g] = g == f ? -1 : 0;
        for (int d = 0; d < KNOWN_WIDTH && g != f; d++)
            cosine[g] += (double)subject_direction(s, f)[d] * (double)subject_direction(s, g)[d];
    }
    json_array_foreach(list, i, o)
    {
        uint32_t g = (uint32_t)integer(o, "feature");
        assert_true(fabs(number(o, "cosine") - cosine[g]) < 1e-5);
        assert_true(cosine[g] <= before + 1e-5);
        before = cosine[g];
    }
    for (uint32_t g = 0; g < KNOWN_FEATURES; g++) better += cosine[g] > before + 1e-5;
    assert_int_equal(i, NEIGHBOURS);
    assert_true(better < NEIGHBOURS);
}

static void it_tells_what_a_sum_in_memory_tells(void **state)
{
    struct index x;
    struct subject s;
    (void)state;
    make("plain");
    compute();
    if (index_open(in_folder("plain"), &x) != ERR_OK) fail_msg("%s", err_text());
    known_subject(1, &s);
    assert_int_equal(x.facts.rows, KNOWN_ROWS);
    assert_int_equal(x.facts.kept_rows, KNOWN_ROWS);
    assert_true(x.facts.fingerprint == s.fingerprint);
    for (uint32_t f = 0; f < KNOWN_FEATURES; f++) {
        json_t *sheet = sheet_of(&x, f);
        uint64_t rows = fires_at(f), bins = 0;
        const json_t *bin;
        size_t i;
        assert_int_equal(integer(sheet, "rows"), rows);
        assert_int_equal(x.entry[f].rows, rows);
        assert_true(rows > 20);
        assert_true(fabs(number(sheet, "density") - (double)rows / KNOWN_ROWS) < 1e-6);
        json_array_foreach(json_object_get(sheet, "histogram"), i, bin) bins +=
            (uint64_t)json_integer_value(bin);
        assert_int_equal(bins, rows);
        check_contexts(sheet, f);
        check_together(sheet, f);
        check_alike(sheet, &s, f);
        json_decref(sheet);
    }
    subject_close(&s);
    index_close(&x);
}

/* ---- the same bytes ---- */

static void same(const char *a, const char *b)
{
    same_file(a, b, "index.json");
    same_file(a, b, "features.table");
    same_file(a, b, "features.data");
}

static void memory_and_threads_change_nothing(void **state)
{
    int was_there;
    (void)state;
    uint64_t least = sorter_least_bytes(KNOWN_FEATURES);
    assert_int_equal(survey("little", least + 1000, 1, 1, &was_there), ERR_OK);
    same("plain", "little");
    assert_int_equal(survey("threads", MEMORY, 3, 0, &was_there), ERR_OK);
    same("plain", "threads");
    assert_int_equal(survey("none", least - 1, 1, 1, &was_there), ERR_LIMIT);
}

static void nothing_is_made_twice(void **state)
{
    int was_there;
    struct stat st;
    (void)state;
    assert_int_equal(survey("plain", MEMORY, 1, 1, &was_there), ERR_OK);
    assert_int_equal(was_there, 1);
    assert_int_equal(stat(in_folder("plain"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(in_folder("plain/features.data"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(in_folder("plain/work"), &st), -1);
}

/* What fired at every row, in an index whose other files are the same. */
static void records_are_kept(void **state)
{
    int was_there;
    struct index x;
    struct record_view view;
    (void)state;
    keeps_records = 1;
    assert_int_equal(survey("plain", MEMORY, 1, 1, &was_there), ERR_MISMATCH);
    assert_non_null(strstr(err_text(), "without its records"));
    make("kept");
    same("plain", "kept");
    assert_int_equal(survey("kept", MEMORY, 1, 1, &was_there), ERR_OK);
    assert_int_equal(was_there, 1);
    keeps_records = 0;
    compute();
    assert_int_equal(index_open(in_folder("kept"), &x), ERR_OK);
    if (kept_map(&x, &view) != ERR_OK) fail_msg("%s", err_text());
    assert_int_equal(view.rows, KNOWN_ROWS);
    for (uint64_t r = 0; r < view.rows; r++) {
        assert_int_equal(view.row[r].sequence, r / KNOWN_SEQUENCE);
        assert_int_equal(view.row[r].position, r % KNOWN_SEQUENCE);
        for (uint64_t i = view.row[r].start; i < record_end(&view, r); i++)
            assert_true(view.pair[i].value == value[r][view.pair[i].feature]);
    }
    records_unmap(&view);
    index_close(&x);
}

/* As after a kill between that and the writing of index.json. */
static void records_are_kept_again(void **state)
{
    char where[256], work[256];
    (void)state;
    snprintf(where, sizeof where, "%s", in_folder("again"));
    snprintf(work, sizeof work, "%s", in_folder("again/work"));
    assert_int_equal(dir_make(work, 0700), ERR_OK);
    write_text("again/work/rows", "old");
    write_text("again/work/fired", "old");
    assert_int_equal(kept_make(where, work), ERR_OK);
    write_text("again/work/rows", "new"); /* another file of that name */
    if (kept_make(where, work) != ERR_OK) fail_msg("%s", err_text());
    same_file("again/work", "again/records", "rows");
    same_file("again/work", "again/records", "fired");
}

static int survey_whole(const char *folder_name)
{
    int was_there;
    return survey(folder_name, MEMORY, 1, 0, &was_there);
}

static void killed_at_random_it_ends_the_same(void **state)
{
    struct rng rng;
    int kills = 0;
    double most_micros = 40000;
    (void)state;
    rng_seed(&rng, 11);
    for (int round = 0; round < 6 || (kills < 12 && round < 60); round++) {
        char folder_name[32];
        int before = kills;
        snprintf(folder_name, sizeof folder_name, "killed-%d", round);
        keeps_records = round % 2;
        kills += killed_child(&rng, most_micros, 20, survey_whole, folder_name);
        same("plain", folder_name);
        if (keeps_records) same_file("kept", folder_name, "records/rows");
        if (keeps_records) same_file("kept", folder_name, "records/fired");
        if (kills == before) most_micros /= 2; /* this machine is faster */
    }
    keeps_records = 0;
    if (kills < 12) fail_msg("only %d kills", kills);
}

/* ---- what is refused ---- */

static void what_is_no_index_is_left_alone(void **state)
{
    int was_there;
    struct stat st;
    (void)state;
    assert_int_equal(mkdir(in_folder("mine"), 0700), 0);
    write_text("mine/thesis.txt", "words");
    assert_int_equal(survey("mine", MEMORY, 1, 1, &was_there), ERR_USAGE);
    assert_non_null(strstr(err_text(), "thesis.txt"));
    assert_int_equal(stat(in_folder("mine/work"), &st), -1);
}

static void two_do_not_make_one(void **state)
{
    struct stat st;
    int was_there, lock;
    (void)state;
    assert_int_equal(mkdir(in_folder("shared"), 0700), 0);
    assert_int_equal(mkdir(in_folder("shared/work"), 0700), 0);
    assert_int_equal(file_lock(in_folder("shared/work/lock"), &lock), ERR_OK);
    assert_int_equal(survey("shared", MEMORY, 1, 1, &was_there), ERR_EXISTS);
    assert_non_null(strstr(err_text(), "is being made"));
    assert_int_equal(stat(in_folder("shared/work/rows"), &st), -1);
    close(lock);
    assert_int_equal(survey("shared", MEMORY, 1, 1, &was_there), ERR_OK);
    same("plain", "shared");
}

static void anothers_index_is_left_alone(void **state)
{
    struct engine *engine = known_engine(KNOWN_ROWS);
    struct subject s;
    char path[256];
    snprintf(path, sizeof path, "%s", in_folder("plain"));
    struct survey_options options = {.folder = path, .memory_bytes = MEMORY};
    int was_there;
    (void)state;
    known_subject(1, &s);
    s.fingerprint++;
    assert_int_equal(survey_make(&s, engine, &options, &was_there), ERR_MISMATCH);
    assert_non_null(strstr(err_text(), "another SAE"));
    s.fingerprint--;
    options.most_rows = 100;
    assert_int_equal(survey_make(&s, engine, &options, &was_there), ERR_MISMATCH);
    assert_non_null(strstr(err_text(), "--tokens"));
    engine_close(engine);
    engine = known_engine(KNOWN_ROWS - 1);
    options.most_rows = 0;
    assert_int_equal(survey_make(&s, engine, &options, &was_there), ERR_MISMATCH);
    subject_close(&s);
    engine_close(engine);
}

static void rows_of_another_width_are_refused(void **state)
{
    struct engine *engine = known_engine(KNOWN_ROWS);
    struct subject s;
    char path[256];
    snprintf(path, sizeof path, "%s", in_folder("width"));
    struct survey_options options = {.folder = path, .memory_bytes = MEMORY};
    int was_there;
    (void)state;
    known_subject(1, &s);
    s.width = s.hook_width[0] = KNOWN_WIDTH - 1;
    assert_int_equal(survey_make(&s, engine, &options, &was_there), ERR_USAGE);
    subject_close(&s);
    engine_close(engine);
}

/* Rows with a norm above the SAE's limit count for nothing. */
static void rows_beyond_the_limit_are_left_out(void **state)
{
    struct engine *engine = known_engine(KNOWN_ROWS);
    struct subject s;
    struct engine_batch batch;
    struct index x;
    char path[256];
    int was_there;
    uint64_t kept = 0;
    (void)state;
    snprintf(path, sizeof path, "%s", in_folder("limit"));
    struct survey_options options = {.folder = path, .memory_bytes = MEMORY};
    known_subject(1, &s);
    s.hook_limit[0] = 2;
    assert_int_equal(survey_make(&s, engine, &options, &was_there), ERR_OK);
    engine_close(engine);
    engine = known_engine(KNOWN_ROWS);
    while (engine_next(engine, &batch) == ERR_OK && batch.rows)
        for (size_t r = 0; r < batch.rows; r++) {
            double square = 0;
            for (int i = 0; i < KNOWN_WIDTH; i++)
                square += pow((double)batch.values[r * KNOWN_WIDTH + (size_t)i], 2);
            kept += square <= 4;
        }
    assert_int_equal(index_open(path, &x), ERR_OK);
    assert_true(kept > 100 && kept < KNOWN_ROWS - 100);
    assert_int_equal(x.facts.kept_rows, kept);
    index_close(&x);
    subject_close(&s);
    engine_close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_tells_what_a_sum_in_memory_tells),
        cmocka_unit_test(memory_and_threads_change_nothing),
        cmocka_unit_test(nothing_is_made_twice),
        cmocka_unit_test(records_are_kept),
        cmocka_unit_test(records_are_kept_again),
        cmocka_unit_test(killed_at_random_it_ends_the_same),
        cmocka_unit_test(what_is_no_index_is_left_alone),
        cmocka_unit_test(two_do_not_make_one),
        cmocka_unit_test(anothers_index_is_left_alone),
        cmocka_unit_test(rows_of_another_width_are_refused),
        cmocka_unit_test(rows_beyond_the_limit_are_left_out),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
