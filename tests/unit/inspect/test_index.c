/* The reader of feature indexes: what is cut, changed, swapped or no index at all is told, and labels. */
#include "tests/unit/inspect/synthetic_subject.h"

#include "engine/fingerprint.h"
#include "inspect/deflate.h"
#include "inspect/index.h"
#include "inspect/labels.h"
#include "inspect/sheet.h"
#include "inspect/survey.h"

#include <math.h>
#include <sys/wait.h>

static char made[256];
static const char *const files[] = {"index.json", "features.table", "features.data"};

static int make_index(void **state)
{
    if (make_folder(state) != 0) return -1;
    struct engine *engine = known_engine(400);
    struct subject s;
    int was_there;
    snprintf(made, sizeof made, "%s", in_folder("made"));
    known_subject(1, &s);
    struct survey_options options = {.folder = made, .memory_bytes = 1 << 24, .commit_seconds = 1};
    int result = survey_make(&s, engine, &options, &was_there);
    subject_close(&s);
    engine_close(engine);
    return result;
}

static char *load(const char *name, size_t *bytes)
{
    char path[512], *data;
    snprintf(path, sizeof path, "%s/%s", made, name);
    assert_int_equal(file_read(path, 1 << 26, &data, bytes), ERR_OK);
    return data;
}

static void store(const char *name, const void *data, size_t bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", made, name);
    assert_int_equal(file_replace(path, data, bytes), ERR_OK);
}

/* Open it and read every sheet. */
static int read_all(void)
{
    struct index x;
    int result = index_open(made, &x);
    if (result != ERR_OK) return result;
    for (uint32_t f = 0; f < x.facts.features && result == ERR_OK; f++) {
        json_t *sheet;
        result = index_sheet(&x, f, &sheet);
        if (result == ERR_OK) json_decref(sheet);
    }
    index_close(&x);
    return result;
}

static void told(int result, const char *name)
{
    if (result == ERR_OK || result == ERR_NOMEM || result == ERR_IO)
        fail_msg("%s: %s", name, err_str(result));
    if (!strstr(err_text(), name)) fail_msg("'%s' does not name %s", err_text(), name);
    if (!strstr(err_text(), "HINT")) fail_msg("'%s' does not say what to do", err_text());
}

static void what_is_cut_is_told(void **state)
{
    (void)state;
    assert_int_equal(read_all(), ERR_OK);
    for (int i = 0; i < 3; i++) {
        size_t bytes;
        char *data = load(files[i], &bytes);
        size_t step = bytes / 50 + 1;
        for (size_t n = 0; n < bytes; n += step) {
            if (i == 0 && n + 2 >= bytes) break;
            store(files[i], data, n);
            told(read_all(), files[i]);
        }
        data[bytes] = '\n';
        store(files[i], data, bytes + (i > 0));
        if (i > 0) told(read_all(), files[i]);
        store(files[i], data, bytes);
        free(data);
    }
    assert_int_equal(read_all(), ERR_OK);
}

static void what_is_changed_is_told(void **state)
{
    (void)state;
    for (int i = 1; i < 3; i++) {
        size_t bytes;
        char *data = load(files[i], &bytes);
        size_t step = bytes / 100 + 1;
        for (size_t n = 0; n < bytes; n += step) {
            data[n] ^= 16;
            store(files[i], data, bytes);
            told(read_all(), files[i]);
            data[n] ^= 16;
        }
        store(files[i], data, bytes);
        free(data);
    }
    assert_int_equal(read_all(), ERR_OK);
}

static void what_is_missing_is_told(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        size_t bytes;
        char path[512], *data = load(files[i], &bytes);
        snprintf(path, sizeof path, "%s/%s", made, files[i]);
        assert_int_equal(unlink(path), 0);
        told(read_all(), files[i]);
        store(files[i], data, bytes);
        free(data);
    }
    struct index x;
    told(index_open("/nonexistent", &x), "/nonexistent");
}

/* No feature, or no row that counts: what divides by them, or tells the last one, has none. */
static void an_index_is_of_something(void **state)
{
    struct index_facts facts, none;
    (void)state;
    assert_int_equal(index_facts_read(made, &facts), ERR_OK);
    for (int i = 0; i < 2; i++) {
        none = facts;
        if (i == 0) none.features = 0;
        if (i == 1) none.kept_rows = 0;
        assert_int_equal(index_facts_write(made, &none), ERR_OK);
        assert_int_equal(index_facts_read(made, &none), ERR_FORMAT);
        told(ERR_FORMAT, "index.json");
    }
    assert_int_equal(index_facts_write(made, &facts), ERR_OK);
    assert_int_equal(read_all(), ERR_OK);
}

/* An entry that its hash vouches for, and that points elsewhere. */
static void entries_are_bounded(void **state)
{
    struct index x;
    (void)state;
    assert_int_equal(index_open(made, &x), ERR_OK);
    struct index_entry good = x.entry[3], *e = &x.entry[3];
    assert_int_equal(index_check_table(&x.facts, x.entry, "table"), ERR_OK);
#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        e->field = value;                                                                          \
        assert_int_equal(index_check_table(&x.facts, x.entry, "table"), ERR_FORMAT);               \
        *e = good;                                                                                 \
    } while (0)
    REFUSED(offset, good.offset + 1);
    REFUSED(offset, UINT64_MAX);
    REFUSED(bytes, 0);
    REFUSED(bytes, UINT32_MAX);
    REFUSED(bytes, good.bytes + 1);
    REFUSED(raw_bytes, UINT32_MAX);
    REFUSED(rows, x.facts.kept_rows + 1);
    REFUSED(largest, (float)NAN);
    REFUSED(mean, (float)INFINITY);
    REFUSED(token, -2);
    json_t *sheet;
    told(index_sheet(&x, KNOWN_FEATURES, &sheet), "96");
    told(index_sheet(&x, UINT64_MAX, &sheet), made);
    index_close(&x);
}

/* Offsets of texts that lie within the file, one behind the other. */
static void texts_are_bounded(void **state)
{
    static const uint32_t wrong[][4] = {{1, 2, 3, 6}, {0, 4, 2, 6}, {0, 2, 4, 5},
                                        {0, 2, 4, 7}, {0, 7, 4, 6}, {0, UINT32_MAX, 4, 6}};
    static const uint32_t right[4] = {0, 2, 2, 6};
    const struct index_facts facts = {.tokens = 3, .tokens_bytes = sizeof right + 6};
    (void)state;
    assert_int_equal(index_check_tokens(&facts, right, "tokens"), ERR_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(index_check_tokens(&facts, wrong[i], "tokens"), ERR_FORMAT);
}

#define NOTHING ",\"promotes\":null,\"suppresses\":null"
#define PLAIN                                                                                      \
    "{\"feature\":0,\"rows\":1,\"density\":1,\"largest\":1,\"mean\":1,\"histogram\":[],\"top\":[]" \
    ","                                                                                            \
    "\"intervals\":[],\"together\":[],\"alike\":[]"

/* A sheet that is packed and hashed as it should, and is none. */
static void sheets_are_looked_at(void **state)
{
    static const char *const wrong[] = {
        "",
        "{}",
        "[]",
        "{\"feature\":1}",
        "{\"feature\":0,\"rows\":1,\"density\":1,\"largest\":1,\"mean\":1,\"histogram\":[],"
        "\"top\":[{\"at\":0,\"sequence\":0,\"position\":0,\"tokens\":[1],\"values\":[]}],"
        "\"intervals\":[],\"together\":[],\"alike\":[]" NOTHING "}",
        "{\"feature\":0,\"rows\":1,\"density\":1,\"largest\":1,\"mean\":1,\"histogram\":[],"
        "\"top\":[{\"at\":1,\"sequence\":0,\"position\":0,\"tokens\":[1],\"values\":[1]}],"
        "\"intervals\":[],\"together\":[],\"alike\":[]" NOTHING "}",
        "{\"feature\":0,\"rows\":1,\"density\":1,\"largest\":1,\"mean\":1,\"histogram\":[],"
        "\"top\":[],\"intervals\":[],\"together\":[{\"feature\":96,\"pmi\":1}],\"alike\":[]" NOTHING
        "}",
        "{\"feature\":0,\"rows\":1,\"density\":1,\"largest\":1,\"mean\":1,\"histogram\":[],"
        "\"top\":[],\"intervals\":[],\"together\":[],\"alike\":[{\"feature\":-1,\"cosine\":1}"
        "]" NOTHING "}",
        PLAIN "}",
        PLAIN ",\"promotes\":null,\"suppresses\":[]}",
        PLAIN ",\"promotes\":{},\"suppresses\":{}}",
        PLAIN ",\"promotes\":[{\"token\":-1,\"logit\":1}],\"suppresses\":[]}",
        PLAIN ",\"promotes\":[{\"token\":1}],\"suppresses\":[]}",
        PLAIN ",\"promotes\":[],\"suppresses\":[{\"token\":\"1\",\"logit\":1}]}",
    };
    static const char right[] =
        "{\"feature\":0,\"rows\":1,\"density\":1,\"largest\":1,\"mean\":1,\"histogram\":[],"
        "\"top\":[{\"at\":0,\"sequence\":0,\"position\":0,\"tokens\":[1],\"values\":[null]}],"
        "\"intervals\":[],\"together\":[{\"feature\":95,\"pmi\":1}],\"alike\":[]" NOTHING "}";
    const struct index_facts facts = {.features = KNOWN_FEATURES};
    (void)state;
    for (size_t i = 0; i <= sizeof wrong / sizeof *wrong; i++) {
        const char *text = i < sizeof wrong / sizeof *wrong ? wrong[i] : right;
        void *packed;
        size_t bytes;
        json_t *sheet;
        assert_int_equal(deflate_pack(text, strlen(text), &packed, &bytes), ERR_OK);
        struct index_entry e = {.bytes = (uint32_t)bytes,
                                .raw_bytes = (uint32_t)strlen(text),
                                .hash = fingerprint_add(0, packed, bytes)};
        int result = index_parse_sheet(&facts, &e, 0, packed, "data", &sheet);
        if (text == right) {
            assert_int_equal(result, ERR_OK);
            json_decref(sheet);
            e.hash ^= 1; /* zlib's own checksum is right: it is another sheet */
            assert_int_equal(index_parse_sheet(&facts, &e, 0, packed, "data", &sheet),
                             ERR_CHECKSUM);
            e.hash ^= 1;
            e.raw_bytes--;
            result = index_parse_sheet(&facts, &e, 0, packed, "data", &sheet);
        }
        if (result != ERR_FORMAT) fail_msg("%s: %s", text, err_str(result));
        free(packed);
    }
}

/* Of an older one, too: its sheets tell less. */
static void another_version_is_told(void **state)
{
    size_t bytes;
    (void)state;
    char *data = load("index.json", &bytes), *at = strstr(data, "\"version\": 2");
    assert_non_null(at);
    for (char other = '1'; other <= '3'; other += 2) {
        at[strlen("\"version\": ")] = other;
        store("index.json", data, bytes);
        assert_int_equal(read_all(), ERR_VERSION);
        assert_non_null(strstr(err_text(), "HINT: inspect again"));
    }
    at[strlen("\"version\": ")] = '2';
    store("index.json", data, bytes);
    free(data);
}

/* ---- a context with gaps ---- */

static void what_was_left_out_is_a_gap(void **state)
{
    struct record_row row[6] = {{7, 0, 3, 30, 0, 0}, {7, 1, 4, 40, 1, 0}, {7, 1, 5, 50, 0, 0},
                                {7, 2, 8, 80, 0, 0}, {8, 3, 0, 10, 0, 0}, {8, 3, 1, 11, 0, 0}};
    struct fired pair[3] = {{0, 1}, {0, 3}, {0, 2}};
    struct hit hits[3] = {{0, 1}, {2, 3}, {3, 2}};
    struct record_view view = {.row = row, .pair = pair, .rows = 6, .fired = 3, .has_tokens = 1};
    struct sheet s = {.kept_rows = 5, .hits = hits};
    (void)state;
    portrait_make(&view, 0, hits, 3, &s.portrait);
    char *text = sheet_text(&view, &s);
    assert_non_null(strstr(text, "\"at\":2,\"sequence\":7,\"position\":5,\"tokens\":"
                                 "[30,40,50,null,80],\"values\":[1.0,null,3.0,null,2.0]"));
    free(text);
}

/* Sequences with the same text give one context. */
static void a_text_is_told_once(void **state)
{
    struct record_row row[40];
    struct fired pair[20];
    struct hit hits[20];
    struct portrait p;
    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t text = i < 15 ? 1 : i;
        row[2 * i] = (struct record_row){i, i, 0, text, 0, 0};
        row[2 * i + 1] = (struct record_row){i, i, 1, 5, 0, 0};
        pair[i] = (struct fired){0, 1 + (float)i};
        hits[i] = (struct hit){2 * i + 1, 1 + (float)i};
    }
    struct record_view view = {.row = row, .pair = pair, .rows = 40, .fired = 20, .has_tokens = 1};
    portrait_make(&view, 0, hits, 20, &p);
    assert_int_equal(p.tops, 6);
    view.has_tokens = 0;
    portrait_make(&view, 0, hits, 20, &p);
    assert_int_equal(p.tops, PORTRAIT_TOP);
}

/* ---- labels ---- */

static void labels_are_kept(void **state)
{
    struct labels l;
    (void)state;
    assert_int_equal(labels_read(made, 96, &l), ERR_OK);
    assert_int_equal(l.count, 0);
    labels_free(&l);
    assert_int_equal(labels_set(made, 96, 7, "seven"), ERR_OK);
    assert_int_equal(labels_set(made, 96, 3, "three"), ERR_OK);
    assert_int_equal(labels_set(made, 96, 9, "nine"), ERR_OK);
    assert_int_equal(labels_set(made, 96, 7, "sieben \xc3\xbc"), ERR_OK);
    assert_int_equal(labels_set(made, 96, 9, ""), ERR_OK);
    assert_int_equal(labels_read(made, 96, &l), ERR_OK);
    assert_int_equal(l.count, 2);
    assert_string_equal(labels_of(&l, 3), "three");
    assert_string_equal(labels_of(&l, 7), "sieben \xc3\xbc");
    assert_null(labels_of(&l, 9));
    labels_free(&l);
    assert_int_equal(labels_set(made, 96, 7, "a\tb"), ERR_USAGE);
    assert_int_equal(labels_set(made, 96, 7, "a\033[31m"), ERR_USAGE);
    assert_int_equal(labels_set(made, 96, 7, "\xff"), ERR_USAGE);
}

/* Several that label at once lose nothing of each other. */
static void labels_take_turns(void **state)
{
    enum { WRITERS = 4, EACH = 24 };
    pid_t writer[WRITERS];
    struct labels l;
    (void)state;
    for (uint32_t w = 0; w < WRITERS; w++) {
        writer[w] = fork();
        assert_true(writer[w] >= 0);
        for (uint32_t i = 0; writer[w] == 0 && i < EACH; i++)
            if (labels_set(made, 96, w * EACH + i, "x") != ERR_OK) _exit(1);
        if (writer[w] == 0) _exit(0);
    }
    for (uint32_t w = 0; w < WRITERS; w++) {
        int status;
        assert_int_equal(waitpid(writer[w], &status, 0), writer[w]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(labels_read(made, 96, &l), ERR_OK);
    assert_int_equal(l.count, WRITERS * EACH);
    labels_free(&l);
}

static void wrong_labels_are_told(void **state)
{
    static const char *const wrong[] = {"3 three\n", "96\tx\n", "-1\tx\n", "x\ty\n",
                                        "3\ta\n3\tb\n"};
    struct labels l;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        store("labels.tsv", wrong[i], strlen(wrong[i]));
        told(labels_read(made, 96, &l), "labels.tsv");
    }
    store("labels.tsv", "3\tx\0y\n", 6);
    told(labels_read(made, 96, &l), "labels.tsv");
    store("labels.tsv", "\r\n3\tx\r\n", 7);
    assert_int_equal(labels_read(made, 96, &l), ERR_OK);
    assert_string_equal(labels_of(&l, 3), "x");
    labels_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_cut_is_told),     cmocka_unit_test(what_is_changed_is_told),
        cmocka_unit_test(what_is_missing_is_told), cmocka_unit_test(entries_are_bounded),
        cmocka_unit_test(texts_are_bounded),       cmocka_unit_test(sheets_are_looked_at),
        cmocka_unit_test(another_version_is_told), cmocka_unit_test(what_was_left_out_is_a_gap),
        cmocka_unit_test(a_text_is_told_once),     cmocka_unit_test(labels_are_kept),
        cmocka_unit_test(labels_take_turns),       cmocka_unit_test(an_index_is_of_something),
        cmocka_unit_test(wrong_labels_are_told),
    };
    return cmocka_run_group_tests(tests, make_index, remove_folder);
}
