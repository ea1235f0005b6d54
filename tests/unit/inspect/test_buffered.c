/*
 * An index out of a buffer: that of the same rows from their engine, in whatever order they lie there;
 * rows that are not there are gaps; what goes while it reads is counted; a reading that was killed is
 * begun again.
 */
#include "tests/products.h"
#include "tests/unit/inspect/synthetic_buffer.h"

#include "inspect/index.h"
#include "inspect/portrait.h"
#include "inspect/survey.h"

#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const uint64_t MEMORY = UINT64_C(64) << 20;

struct watching {
    struct store *store;
    void (*each)(struct watching *w, uint64_t rows);
    int times;
    const uint32_t *rows;
    uint32_t count;
    uint64_t next;
};

static void after(void *arg, const char *what, uint64_t done, uint64_t all)
{
    struct watching *w = arg;
    (void)all;
    if (w->each && strcmp(what, "tokens") == 0) w->each(w, done);
}

/* Rows of the buffer `from` into the index `to`. */
static int survey_with(const char *from, const char *to, uint64_t most, struct watching *watching,
                       struct survey_read *read)
{
    struct subject subject;
    struct buffered *buffer;
    char path[256];
    int was_there;
    snprintf(path, sizeof path, "%s", in_folder(to));
    known_subject(1, &subject);
    int result = buffered_open(in_folder(from), &subject, &buffer);
    if (result == ERR_OK) {
        struct survey_options options = {.folder = path,
                                         .most_rows = most,
                                         .memory_bytes = MEMORY,
                                         .commit_seconds = 0,
                                         .progress = after,
                                         .arg = watching,
                                         .buffer = buffer,
                                         .wait_seconds = 0.2,
                                         .read = read};
        result = survey_make(&subject, NULL, &options, &was_there);
        buffered_close(buffer);
    }
    subject_close(&subject);
    return result;
}

static struct survey_read survey(const char *from, const char *to)
{
    struct watching nobody = {0};
    struct survey_read read = {0};
    if (survey_with(from, to, 0, &nobody, &read) != ERR_OK) fail_msg("%s", err_text());
    return read;
}

static void survey_engine(const char *to)
{
    struct engine *engine = known_engine(KNOWN_ROWS);
    struct subject subject;
    char path[256];
    int was_there;
    snprintf(path, sizeof path, "%s", in_folder(to));
    known_subject(1, &subject);
    struct survey_options options = {.folder = path, .memory_bytes = MEMORY, .commit_seconds = 1};
    if (survey_make(&subject, engine, &options, &was_there) != ERR_OK) fail_msg("%s", err_text());
    subject_close(&subject);
    engine_close(engine);
}

static void same(const char *a, const char *b)
{
    same_file(a, b, "features.table");
    same_file(a, b, "features.data");
}

static uint32_t list[2 * KNOWN_ROWS];

static void in_order(void)
{
    for (uint32_t i = 0; i < KNOWN_ROWS; i++) list[i] = i;
}

/* Everything, in slabs and out of them. */
static void shuffle(uint32_t count)
{
    struct rng rng;
    rng_seed(&rng, 11);
    for (uint32_t i = count; i > 1; i--) {
        uint32_t other = (uint32_t)rng_below(&rng, i), was = list[i - 1];
        list[i - 1] = list[other];
        list[other] = was;
    }
}

static void fill(const char *name, uint8_t dtype, uint32_t count)
{
    struct store *store = known_store(name, dtype);
    known_fill(store, dtype, 1, list, count);
    known_end(store);
    store_close(store);
}

/* ---- the same index ---- */

static void all_rows_give_the_engines_index(void **state)
{
    (void)state;
    known_read();
    survey_engine("engine");
    in_order();
    fill("ordered", DTYPE_F32, KNOWN_ROWS);
    struct survey_read read = survey("ordered", "of-ordered");
    assert_int_equal(read.counts.rows, KNOWN_ROWS);
    assert_int_equal(read.counts.missed_slabs, 0);
    assert_int_equal(read.again, 0);
    assert_int_equal(read.begun_again, 0);
    same("engine", "of-ordered");
}

static void their_order_changes_nothing(void **state)
{
    (void)state;
    in_order();
    shuffle(KNOWN_ROWS);
    fill("shuffled", DTYPE_F32, KNOWN_ROWS);
    survey("shuffled", "of-shuffled");
    same("engine", "of-shuffled");
}

static void a_row_that_came_twice_counts_once(void **state)
{
    (void)state;
    in_order();
    for (uint32_t i = 0; i < 1000; i++) list[KNOWN_ROWS + i] = 3 * i;
    shuffle(KNOWN_ROWS + 1000);
    fill("twice", DTYPE_F32, KNOWN_ROWS + 1000);
    struct survey_read read = survey("twice", "of-twice");
    assert_int_equal(read.again, 1000);
    same("engine", "of-twice");
}

/* ---- gaps ---- */

static int is_there(uint32_t row)
{
    return hash_words(row, 1, 2, 3) % 3 != 0;
}

/* The tokens around `row` of its sequence that are there; a null where some are not. */
static json_t *expected(uint32_t row)
{
    uint32_t first = row / KNOWN_SEQUENCE * KNOWN_SEQUENCE, end = first + KNOWN_SEQUENCE;
    uint32_t before = 0, from = row, to = row;
    json_t *tokens = json_array();
    if (end > KNOWN_ROWS) end = KNOWN_ROWS;
    for (uint32_t r = row; r-- > first && before < PORTRAIT_BEFORE;)
        if (is_there(r)) from = r, before++;
    for (uint32_t r = row + 1, behind = 0; r < end && behind < PORTRAIT_AFTER; r++)
        if (is_there(r)) to = r, behind++;
    int gap = 0;
    for (uint32_t r = from; r <= to; r++) {
        if (is_there(r))
            json_array_append_new(tokens, json_integer(known.id[r].token));
        else if (!gap)
            json_array_append_new(tokens, json_null());
        gap = !is_there(r);
    }
    return tokens;
}

static void rows_that_are_not_there_are_gaps(void **state)
{
    uint32_t count = 0;
    struct index x;
    size_t i, contexts = 0;
    json_t *sheet, *context;
    (void)state;
    for (uint32_t r = 0; r < KNOWN_ROWS; r++)
        if (is_there(r)) list[count++] = r;
    shuffle(count);
    fill("gaps", DTYPE_F32, count);
    survey("gaps", "of-gaps");
    assert_int_equal(index_open(in_folder("of-gaps"), &x), ERR_OK);
    assert_int_equal(x.facts.rows, count);
    for (uint32_t f = 0; f < KNOWN_FEATURES; f++) {
        assert_int_equal(index_sheet(&x, f, &sheet), ERR_OK);
        json_array_foreach(json_object_get(sheet, "top"), i, context)
        {
            json_int_t row =
                json_integer_value(json_object_get(context, "sequence")) * KNOWN_SEQUENCE +
                json_integer_value(json_object_get(context, "position"));
            json_t *should = expected((uint32_t)row);
            if (!json_equal(should, json_object_get(context, "tokens")))
                fail_msg("%s, not %s", json_dumps(json_object_get(context, "tokens"), 0),
                         json_dumps(should, 0));
            json_decref(should);
            contexts++;
        }
        json_decref(sheet);
    }
    assert_true(contexts > KNOWN_FEATURES * 8);
    index_close(&x);
}

/* ---- what rows are packed in ---- */

static void packed_rows_are_raw_again(void **state)
{
    static const uint8_t dtypes[] = {DTYPE_BF16, DTYPE_INT8};
    static const double near[] = {0.01, 0.03};
    struct index raw, packed;
    (void)state;
    assert_int_equal(index_open(in_folder("engine"), &raw), ERR_OK);
    for (int i = 0; i < 2; i++) {
        char from[32], to[32];
        snprintf(from, sizeof from, "packed-%d", i);
        snprintf(to, sizeof to, "of-packed-%d", i);
        in_order();
        fill(from, dtypes[i], KNOWN_ROWS);
        survey(from, to);
        assert_int_equal(index_open(in_folder(to), &packed), ERR_OK);
        for (uint32_t f = 0; f < KNOWN_FEATURES; f++) {
            double should = (double)raw.entry[f].largest, is = (double)packed.entry[f].largest;
            if (fabs(is - should) > near[i] * should) fail_msg("%u: %g, not %g", f, is, should);
        }
        index_close(&packed);
    }
    index_close(&raw);
}

/* ---- a stream that goes on ---- */

/* After the second slab the sink frees ten of those that are still to be read. */
static void free_some(struct watching *w, uint64_t rows)
{
    uint64_t ids[10];
    (void)rows;
    if (++w->times != 2) return;
    for (uint64_t i = 0; i < 10; i++) ids[i] = store_slab(w->store, 20 + 2 * i).id;
    assert_int_equal(store_begin(w->store), ERR_OK);
    assert_int_equal(store_free(w->store, ids, 10), ERR_OK);
    assert_int_equal(store_commit(w->store), ERR_OK);
}

static void what_goes_meanwhile_is_counted(void **state)
{
    struct survey_read read = {0};
    (void)state;
    in_order();
    struct store *store = known_store("freed", DTYPE_F32);
    known_fill(store, DTYPE_F32, 1, list, KNOWN_ROWS);
    uint32_t each = store_state(store)->rows_per_slab;
    struct watching w = {.store = store, .each = free_some};
    assert_int_equal(survey_with("freed", "of-freed", 0, &w, &read), ERR_OK);
    assert_int_equal(read.counts.missed_slabs, 10);
    assert_int_equal(read.counts.rows, KNOWN_ROWS - 10 * each);
    store_close(store);
}

/* captured_ns is 1 in all of them. */
static void slabs_that_are_too_old_are_passed_over(void **state)
{
    struct subject s;
    struct buffered *buffer;
    struct records records;
    struct buffered_counts counts;
    (void)state;
    in_order();
    struct store *store = known_store("aged", DTYPE_F32);
    known_fill(store, DTYPE_F32, 1, list, KNOWN_ROWS);
    known_subject(1, &s);
    assert_int_equal(dir_make(in_folder("aged-records"), 0700), ERR_OK);
    for (uint64_t from = 1; from <= 2; from++) {
        struct buffered_options options = {.captured_from_ns = from};
        assert_int_equal(records_open(in_folder("aged-records"), 0, 0, &records), ERR_OK);
        assert_int_equal(buffered_open(in_folder("aged"), &s, &buffer), ERR_OK);
        assert_int_equal(buffered_gather(buffer, &options, &records, &counts), ERR_OK);
        assert_int_equal(counts.rows, from == 1 ? KNOWN_ROWS : 0);
        assert_int_equal(counts.old_slabs, from == 1 ? 0 : counts.slabs);
        buffered_close(buffer);
        records_close(&records);
    }
    subject_close(&s);
    store_close(store);
}

/* Rows come, a slab at a time, as they are waited for. */
static void put_more(struct watching *w, uint64_t rows)
{
    uint32_t each = store_state(w->store)->rows_per_slab;
    (void)rows;
    if (w->count >= each) w->next = known_fill(w->store, DTYPE_F32, w->next, w->rows, each);
    w->rows += w->count >= each ? each : 0;
    w->count -= w->count >= each ? each : 0;
}

static void more_is_waited_for(void **state)
{
    struct survey_read read = {0};
    (void)state;
    in_order();
    struct store *store = known_store("live", DTYPE_F32);
    uint64_t next = known_fill(store, DTYPE_F32, 1, list, 1000);
    struct watching w = {
        .store = store, .each = put_more, .rows = list + 1000, .count = 3000, .next = next};
    assert_int_equal(survey_with("live", "of-live", 3500, &w, &read), ERR_OK);
    assert_int_equal(read.counts.rows, 3500);
    assert_int_equal(read.counts.waited_in_vain, 0);
    struct watching nobody = {0};
    assert_int_equal(survey_with("live", "of-vain", 5000, &nobody, &read), ERR_OK);
    assert_true(read.counts.rows >= 3900 && read.counts.rows <= 4000);
    assert_int_equal(read.counts.waited_in_vain, 1);
    store_close(store);
}

/* ---- kills ---- */

static void die(struct watching *w, uint64_t rows)
{
    (void)w;
    if (rows > KNOWN_ROWS / 2) raise(SIGKILL);
}

static void a_reading_that_was_killed_is_begun_again(void **state)
{
    struct index x;
    struct stat st;
    int status;
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct watching w = {.each = die};
        struct survey_read read = {0};
        survey_with("shuffled", "of-killed", 0, &w, &read);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(index_open(in_folder("of-killed"), &x), ERR_USAGE);
    struct survey_read read = survey("shuffled", "of-killed");
    assert_int_equal(read.begun_again, 1);
    assert_int_equal(read.counts.rows, KNOWN_ROWS);
    same("engine", "of-killed");
    assert_int_not_equal(stat(in_folder("of-killed/work"), &st), 0);
}

/* ---- what does not fit ---- */

static void rows_without_tokens_are_refused(void **state)
{
    (void)state;
    struct subject s;
    struct buffered *buffer;
    known_drops_tokens = 1;
    store_close(known_store("tokenless", DTYPE_F32));
    known_drops_tokens = 0;
    known_subject(1, &s);
    assert_int_equal(buffered_open(in_folder("tokenless"), &s, &buffer), ERR_USAGE);
    assert_non_null(strstr(err_text(), "stream.keep_tokens"));
    assert_non_null(strstr(err_text(), "HINT"));
    subject_close(&s);
}

static void what_does_not_fit_is_refused(void **state)
{
    struct subject s;
    struct buffered *buffer;
    (void)state;
    known_subject(1, &s);
    assert_int_equal(buffered_open(in_folder("nothing"), &s, &buffer), ERR_NOTFOUND);
    snprintf(s.hook[0], sizeof s.hook[0], "resid_post.3");
    assert_int_equal(buffered_open(in_folder("ordered"), &s, &buffer), ERR_USAGE);
    snprintf(s.hook[0], sizeof s.hook[0], "synthetic");
    s.model_hash = 5;
    assert_int_equal(buffered_open(in_folder("ordered"), &s, &buffer), ERR_MISMATCH);
    subject_close(&s);
}

int main(void)
{
    products_do_not_depend_on_places();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_rows_give_the_engines_index),
        cmocka_unit_test(their_order_changes_nothing),
        cmocka_unit_test(a_row_that_came_twice_counts_once),
        cmocka_unit_test(rows_that_are_not_there_are_gaps),
        cmocka_unit_test(packed_rows_are_raw_again),
        cmocka_unit_test(what_goes_meanwhile_is_counted),
        cmocka_unit_test(slabs_that_are_too_old_are_passed_over),
        cmocka_unit_test(more_is_waited_for),
        cmocka_unit_test(a_reading_that_was_killed_is_begun_again),
        cmocka_unit_test(rows_without_tokens_are_refused),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
