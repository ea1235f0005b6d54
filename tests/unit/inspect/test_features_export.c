/* Feature exports: what an index may hold that the other tools do not expect. */
#include "tests/unit/inspect/made_index.h"

#include "base/safetensors.h"
#include "inspect/export/features_export.h"
#include "inspect/export/words.h"
#include "inspect/records.h"

#include <math.h>

enum { FEATURES = 3, KEPT_ROWS = 8, LAYER = 15, COLUMNS = 32 };

static const struct made_word vocabulary[] = {{"a", 1},        {" b", 2},         {"", 0},
                                              {"\xe2\x98", 2}, {"\xff\xff", 2},   {"x\xf0\x9f", 3},
                                              {"nul\0y", 5},   {"caf\xc3\xa9", 5}};
enum { TOKENS = sizeof vocabulary / sizeof *vocabulary };

/* ---- an index by hand ---- */

#define EMPTY_SHEET                                                                                \
    "\"rows\":0,\"density\":0.0,\"largest\":0.0,\"mean\":0.0,\"histogram\":[0,0],\"top\":[],"      \
    "\"intervals\":[],\"together\":[],\"alike\":[],\"promotes\":null,\"suppresses\":null}"

/* Feature 1 never fires; feature 0's context has a row that was left out and one that is missing. */
static const char *sheets[FEATURES] = {
    "{\"feature\":0,\"rows\":2,\"density\":0.25,\"largest\":4.0,\"mean\":3.0,"
    "\"histogram\":[1,1],\"top\":[{\"sequence\":0,\"position\":2,\"at\":2,"
    "\"tokens\":[0,1,0,null,3,6],\"values\":[1.0,null,4.0,null,0,0]}],"
    "\"intervals\":[{\"from\":0.0,\"to\":4.0,\"rows\":2,\"samples\":[{\"sequence\":1,"
    "\"position\":0,\"at\":0,\"tokens\":[7],\"values\":[2.0]}]}],"
    "\"together\":[],\"alike\":[],\"promotes\":[{\"token\":1,\"logit\":5.0},"
    "{\"token\":0,\"logit\":2.0}],\"suppresses\":[{\"token\":4,\"logit\":-3.0},"
    "{\"token\":7,\"logit\":-1.0}]}",
    "{\"feature\":1," EMPTY_SHEET,
    "{\"feature\":2,\"rows\":1,\"density\":0.125,\"largest\":1.5,\"mean\":1.5,"
    "\"histogram\":[0,1],\"top\":[{\"sequence\":0,\"position\":0,\"at\":0,\"tokens\":[99],"
    "\"values\":[1.5]}],\"intervals\":[],\"together\":[],\"alike\":[],\"promotes\":null,"
    "\"suppresses\":null}"};
static const struct index_entry entries[FEATURES] = {
    {.rows = 2, .largest = 4, .mean = 3, .token = 0},
    {.token = -1},
    {.rows = 1, .largest = 1.5F, .mean = 1.5F, .token = 1}};

static struct index made;
static struct labels labels;

static void make_index(const char *hook, int with_tokens)
{
    const char *where = in_folder("index");
    const struct texts texts = {TOKENS, made_text, vocabulary};
    struct index_writer writer;
    struct index_facts facts = {.name = "sae",
                                .layout = "sluice",
                                .hooks = 1,
                                .model = "model",
                                .precision = "f32",
                                .context_tokens = 8,
                                .features = FEATURES,
                                .rows = KEPT_ROWS + 1,
                                .kept_rows = KEPT_ROWS};
    snprintf(facts.hook[0], sizeof facts.hook[0], "%s", hook);
    assert_int_equal(dir_remove(where), ERR_OK);
    assert_int_equal(dir_make(where, 0700), ERR_OK);
    assert_int_equal(index_writer_open(where, 0, 0, &writer), ERR_OK);
    for (int f = 0; f < FEATURES; f++) made_add(&writer, entries[f], sheets[f]);
    made_end(where, &writer, with_tokens ? &texts : NULL, &facts);
    if (index_open(where, &made) != ERR_OK) fail_msg("%s", err_text());
}

static int set_up(void **state)
{
    if (make_folder(state) != 0) return -1;
    make_index("resid_post.15", 1);
    return 0;
}

static int tear_down(void **state)
{
    labels_free(&labels);
    index_close(&made);
    return remove_folder(state);
}

static struct features_export everything(void)
{
    static const uint32_t all[FEATURES] = {0, 1, 2};
    return (struct features_export){.index = &made,
                                    .labels = &labels,
                                    .features = all,
                                    .count = FEATURES,
                                    .model = "model",
                                    .set = "sae",
                                    .layer = -1};
}

static uint64_t export_to(const char *layout)
{
    struct features_export x = everything();
    const char *out = in_folder(layout);
    assert_int_equal(dir_make(out, 0700), ERR_OK);
    x.with_pages = strcmp(layout, "circuit-tracer") == 0;
    x.layers = json_object();
    x.is_last = 1;
    if (features_layout(layout)->write(&x, out) != ERR_OK) fail_msg("%s", err_text());
    json_decref(x.layers);
    return x.written;
}

static json_t *read_json(const char *name)
{
    json_error_t error;
    json_t *json = json_load_file(in_folder(name), 0, &error);
    if (!json) fail_msg("%s: %s", name, error.text);
    return json;
}

static void is_json(const json_t *value, const char *wanted)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    assert_string_equal(text, wanted);
    free(text);
}

static const json_t *item(const json_t *o, const char *key, size_t i)
{
    return json_array_get(json_object_get(o, key), i);
}

/* ---- tests ---- */

static void token_is(int64_t token, enum words_bytes bytes, const char *wanted)
{
    json_t *text = words_token(&made, token, bytes);
    assert_string_equal(json_string_value(text), wanted);
    assert_int_equal(json_string_length(text), strlen(wanted));
    json_decref(text);
}

static void tokens_are_utf8(void **state)
{
    (void)state;
    token_is(1, WORDS_REPLACED, " b");
    token_is(7, WORDS_HEX, "caf\xc3\xa9");
    token_is(2, WORDS_REPLACED, "#2");
    token_is(99, WORDS_REPLACED, "#99");
    token_is(3, WORDS_REPLACED, "\xef\xbf\xbd");
    token_is(3, WORDS_HEX, "\\xe2\\x98");
    token_is(4, WORDS_REPLACED, "\xef\xbf\xbd\xef\xbf\xbd");
    token_is(5, WORDS_REPLACED, "x\xef\xbf\xbd");
    token_is(5, WORDS_HEX, "x\\xf0\\x9f");
    token_is(6, WORDS_REPLACED, "nul\xef\xbf\xbdy");
    index_close(&made);
    make_index("resid_post.15", 0);
    token_is(1, WORDS_REPLACED, "#1");
}

static const char gap_tokens[] = "[\"a\",\"[...]\",\"a\",\"[...]\",\"\xef\xbf\xbd\","
                                 "\"nul\xef\xbf\xbdy\"]";
static const char gap_values[] = "[1.0,0,4.0,0,0,0]";

static void a_dashboard_is_told(void **state)
{
    (void)state;
    assert_int_equal(export_to("sae-dashboard"), 2);
    json_t *batch = read_json("sae-dashboard/batch-0.json");
    const json_t *f = item(batch, "features", 0), *a = item(f, "activations", 0);
    assert_int_equal(json_array_size(json_object_get(batch, "features")), 2);
    is_json(json_object_get(batch, "layer"), "15");
    is_json(json_object_get(a, "tokens"), gap_tokens);
    is_json(json_object_get(a, "values"), gap_values);
    is_json(json_object_get(a, "qualifying_token_index"), "2");
    is_json(json_object_get(a, "bin_min"), "-1.0");
    is_json(json_object_get(item(f, "activations", 1), "bin_contains"), "0.25");
    is_json(json_object_get(f, "pos_str"), "[\" b\",\"a\"]");
    is_json(json_object_get(f, "pos_values"), "[5.0,2.0]");
    is_json(json_object_get(f, "neg_str"), "[\"\xef\xbf\xbd\xef\xbf\xbd\",\"caf\xc3\xa9\"]");
    is_json(json_object_get(f, "freq_hist_data_bar_values"), "[1.0,3.0]");
    is_json(json_object_get(item(batch, "features", 1), "pos_str"), "[]");
    json_decref(batch);
    json_t *skipped = read_json("sae-dashboard/skipped_indexes.json");
    is_json(json_object_get(skipped, "skipped_indexes"), "[1]");
    json_decref(skipped);
}

static void an_upload_is_what_the_server_takes(void **state)
{
    static const char text[] = "0\tbad \xff byte\n2\t";
    char path[300], label[700];
    (void)state;
    snprintf(path, sizeof path, "%s/labels.tsv", in_folder("index"));
    snprintf(label, sizeof label, "%s", text);
    for (size_t at = strlen(label); at + 3 < sizeof label; at = strlen(label))
        memcpy(label + at, "\xe2\x98\x83", 4);
    assert_int_equal(file_replace(path, label, strlen(label)), ERR_OK);
    assert_int_equal(labels_read(in_folder("index"), FEATURES, &labels), ERR_OK);
    assert_int_equal(export_to("neuronpedia"), 2);
    json_t *batch = read_json("neuronpedia/batch-0.json");
    const json_t *f = item(batch, "features", 0), *a = item(f, "activations", 0);
    assert_int_equal(json_array_size(json_object_get(batch, "features")), 2);
    is_json(json_object_get(batch, "source"), "\"15-sae\"");
    is_json(json_object_get(a, "tokens"), gap_tokens);
    is_json(json_object_get(a, "values"), gap_values);
    is_json(json_object_get(item(f, "activations", 1), "quantileFraction"), "1.0");
    is_json(item(f, "topLogits", 0), "{\"token\":\" b\",\"value\":5.0}");
    is_json(item(f, "bottomLogits", 1), "{\"token\":\"caf\xc3\xa9\",\"value\":-1.0}");
    is_json(json_object_get(item(f, "explanations", 0), "text"), "\"bad \xef\xbf\xbd byte\"");
    f = item(batch, "features", 1);
    is_json(json_object_get(f, "topLogits"), "null");
    is_json(json_object_get(item(f, "activations", 0), "tokens"), "[\"#99\"]");
    size_t bytes = json_string_length(json_object_get(item(f, "explanations", 0), "text"));
    assert_true(bytes <= 512 && bytes > 500);
    json_decref(batch);
}

static void pages_are_told(void **state)
{
    (void)state;
    assert_int_equal(export_to("circuit-tracer"), 2);
    json_t *page = read_json("circuit-tracer/pages/120.json"); /* of layer 15, feature 0 */
    const json_t *q = item(page, "examples_quantiles", 0), *e = item(q, "examples", 0);
    is_json(json_object_get(e, "tokens"),
            "[\"a\",\"[...]\",\"a\",\"[...]\",\"\\\\xe2\\\\x98\",\"nul\\\\x00y\"]");
    is_json(json_object_get(e, "tokens_acts_list"), gap_values);
    is_json(json_object_get(page, "top_logits"), "[\" b\",\"a\"]");
    is_json(json_object_get(page, "bottom_logits"), "[\"\\\\xff\\\\xff\",\"caf\xc3\xa9\"]");
    json_decref(page);
    page = read_json("circuit-tracer/pages/137.json"); /* feature 1 */
    is_json(json_object_get(page, "examples_quantiles"), "[]");
    is_json(json_object_get(page, "activation_frequency"), "0.0");
    json_decref(page);
}

static void a_layer_must_be_known(void **state)
{
    struct features_export x = everything();
    unsigned layer;
    (void)state;
    assert_int_equal(features_export_layer(&x, &layer), ERR_OK);
    assert_int_equal(layer, LAYER);
    made.facts.hooks = 2;
    strcpy(made.facts.hook[1], "resid_post.16");
    assert_int_equal(features_export_layer(&x, &layer), ERR_USAGE);
    assert_non_null(strstr(err_text(), "HINT: --layer"));
    made.facts.hooks = 1;
    strcpy(made.facts.hook[0], "../synthetic");
    assert_int_equal(features_export_layer(&x, &layer), ERR_USAGE);
    assert_non_null(strstr(err_text(), "HINT: --layer"));
    x.layer = 3;
    assert_int_equal(features_export_layer(&x, &layer), ERR_OK);
    assert_int_equal(layer, 3);
    char module[FEATURES_NAME_BYTES];
    features_export_module(&made.facts, module);
    assert_string_equal(module, "_._synthetic");
}

/* ---- delphi ---- */

/* Sequence 0 lacks positions 1 and 3; sequence 1 follows at once. */
static const struct {
    struct row_id id;
    uint32_t features;
    uint32_t feature[2];
    float value[2];
} rows[KEPT_ROWS + 1] = {
    {{.sequence = 0, .position = 0, .token = 5}, 1, {2}, {1.5F}},
    {{.sequence = 0, .position = 2, .token = 6}, 1, {0}, {4}},
    {{.sequence = 0, .position = 4, .token = 7}, 0, {0}, {0}},
    {{.sequence = 1, .position = 0, .token = 1}, 1, {0}, {2}},
    {{.sequence = 1, .position = 1, .token = 2}, 0, {0}, {0}},
    {{.sequence = 1, .position = 40, .token = 3}, 0, {0}, {0}}, /* beyond a row of the matrix */
    {{.sequence = 2, .position = 41, .token = 4}, 0, {0}, {0}},
    {{.sequence = 2, .position = 42, .token = 4}, 0, {0}, {0}},
    {{.sequence = 2, .position = 41, .token = 7}, 0, {0}, {0}}, /* it begins again */
};

static void write_records(uint32_t fewer)
{
    struct records records;
    char where[300];
    snprintf(where, sizeof where, "%s/records", in_folder("index"));
    assert_int_equal(dir_remove(where), ERR_OK);
    assert_int_equal(dir_make(where, 0700), ERR_OK);
    assert_int_equal(records_open(where, 0, 0, &records), ERR_OK);
    for (int r = 0; r <= KEPT_ROWS; r++)
        assert_int_equal(records_add(&records, &rows[r].id, 0, rows[r].feature, rows[r].value,
                                     rows[r].features > fewer ? rows[r].features - fewer : 0),
                         ERR_OK);
    assert_int_equal(records_sync(&records), ERR_OK);
    records_close(&records);
}

static int export_delphi(uint64_t split_pairs, const uint32_t *features, size_t count)
{
    struct features_export x = everything();
    x.split_pairs = split_pairs;
    if (features) {
        x.features = features;
        x.count = count;
    }
    assert_int_equal(dir_remove(in_folder("delphi")), ERR_OK);
    assert_int_equal(dir_make(in_folder("delphi"), 0700), ERR_OK);
    return features_export_delphi(&x, in_folder("delphi"));
}

static void tensor_is(const char *file, const char *name, const uint32_t *wanted, size_t count)
{
    char path[300];
    struct safetensors *open;
    snprintf(path, sizeof path, "%s/latents/layers.15/%s", in_folder("delphi"), file);
    if (safetensors_open(path, &open) != ERR_OK) fail_msg("%s", err_text());
    const struct safetensors_tensor *t = safetensors_find(open, name);
    assert_non_null(t);
    assert_int_equal(t->bytes, count * sizeof *wanted);
    assert_memory_equal(t->data, wanted, count * sizeof *wanted);
    safetensors_close(open);
}

static void nothing_is_joined_in_a_cache(void **state)
{
    uint32_t tokens[5 * COLUMNS] = {0};
    const uint32_t all[] = {0, 0, 2, 0, 2, 0, 1, 0, 0}, first[] = {0, 2, 0, 1, 0, 0};
    const uint32_t last[] = {0, 0, 0}, third = 2;
    (void)state;
    write_records(0);
    if (export_delphi(0, NULL, 0) != ERR_OK) fail_msg("%s", err_text());
    tokens[0] = 5, tokens[2] = 6, tokens[4] = 7;
    tokens[COLUMNS] = 1, tokens[COLUMNS + 1] = 2;
    tokens[2 * COLUMNS + 8] = 3;
    tokens[3 * COLUMNS + 9] = tokens[3 * COLUMNS + 10] = 4;
    tokens[4 * COLUMNS + 9] = 7;
    tensor_is("0_2.safetensors", "locations", all, 9);
    tensor_is("0_2.safetensors", "tokens", tokens, 5 * COLUMNS);
    /* in two files, feature 1, which has nothing, with the first */
    if (export_delphi(1, NULL, 0) != ERR_OK) fail_msg("%s", err_text());
    tensor_is("0_1.safetensors", "locations", first, 6);
    tensor_is("2_2.safetensors", "locations", last, 3);
    tensor_is("2_2.safetensors", "tokens", tokens, 5 * COLUMNS);
    if (export_delphi(0, &third, 1) != ERR_OK) fail_msg("%s", err_text());
    const uint32_t one[] = {0, 0, 2};
    tensor_is("0_2.safetensors", "locations", one, 3);
}

static void records_must_fit(void **state)
{
    const uint32_t silent = 1;
    (void)state;
    assert_int_equal(export_delphi(0, NULL, 0), ERR_USAGE);
    assert_non_null(strstr(err_text(), "--keep-records"));
    write_records(1);
    assert_int_equal(export_delphi(0, NULL, 0), ERR_CORRUPT);
    assert_non_null(strstr(err_text(), "another index"));
    write_records(0);
    assert_int_equal(export_delphi(0, &silent, 1), ERR_USAGE);
    assert_non_null(strstr(err_text(), "HINT"));
    made.facts.context_tokens = UINT32_MAX;
    assert_int_equal(export_delphi(0, NULL, 0), ERR_USAGE);
    assert_non_null(strstr(err_text(), "too long"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(tokens_are_utf8),
        TEST(a_dashboard_is_told),
        TEST(an_upload_is_what_the_server_takes),
        TEST(pages_are_told),
        TEST(a_layer_must_be_known),
        TEST(nothing_is_joined_in_a_cache),
        TEST(records_must_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
