/* `sluice inspect` and `sluice features` as a user calls them, on a tiny model and an SAE in SAELens's
 * layout. */
#include "inspect/index_facts.h"
#include "sae/export/export.h"
#include "tests/e2e/harness.h"
#include "tests/unit/inspect/tiny_subject.h"

#include <ctype.h>
#include <jansson.h>

enum { SECONDS = 60 };

static char sae[2 * HARNESS_PATH_BYTES], model[2 * HARNESS_PATH_BYTES];
static char corpus[2 * HARNESS_PATH_BYTES], made[2 * HARNESS_PATH_BYTES];

static int set_up(void **state)
{
    if (run_set_up(state) != 0) return -1;
    struct run *run = *state;
    struct tiny tiny = {.architecture = "llama", .layers = TINY_LAYERS};
    struct subject subject;
    struct export_options options = {
        .model_name = "tiny", .hook_name = "resid_post.1", .prepends_bos = 1};
    snprintf(sae, sizeof sae, "%s/sae", run->dir);
    snprintf(model, sizeof model, "%s/tiny.gguf", run->dir);
    snprintf(corpus, sizeof corpus, "%s/corpus.txt", run->dir);
    snprintf(made, sizeof made, "%s/index", run->dir);
    tiny_write(model, &tiny);
    char *text = make_text(3, 600);
    /* escapes among the words: a terminal's title, colours, an 8-bit control */
    char *all = malloc(strlen(text) + 200);
    sprintf(all, "\033]0;title\007 \033[31m \xc2\x9b%s", text);
    for (size_t i = 400; i + 20 < strlen(all); i += 211) all[i] = '\033';
    run_write(run, "corpus.txt", all);
    free(text);
    free(all);
    tiny_subject("resid_post.1", &subject);
    int result = export_saelens(model_view(&subject.model), &options, sae);
    subject_close(&subject);
    return result;
}

static void must(struct run *run, int code)
{
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
}

static void refused(struct run *run, int code, int wanted, const char *words)
{
    if (code != wanted) fail_msg("exit code %d where '%s' was to come: %s", code, words, run->err);
    harness_has(run->err, words);
    harness_has(run->err, "HINT");
}

static int inspect(struct run *run, const char *to)
{
    return run_command(run, SECONDS, "sluice", "inspect", sae, to, "--model", model,
                       "--exact-model", "--corpus", corpus, "--context", "64", NULL);
}

#define FEATURES(run, word, ...)                                                                   \
    run_command(run, SECONDS, "sluice", "features", word, made, __VA_ARGS__, NULL)

static json_t *answer(struct run *run)
{
    json_t *json = json_loads(run->out, 0, NULL);
    if (!json) fail_msg("no JSON: %s", run->out);
    return json;
}

/* What a terminal would obey. */
static void is_plain(const char *text)
{
    assert_null(strchr(text, '\033'));
    assert_null(strchr(text, '\007'));
    assert_null(strstr(text, "\xc2\x9b"));
}

static void an_index_is_made_and_told(void **state)
{
    struct run *run = *state;
    must(run, inspect(run, made));
    harness_has(run->out, "24 features");
    must(run, FEATURES(run, "list", "--json", "--top", "0"));
    json_t *list = answer(run);
    assert_int_equal(json_array_size(list), TINY_FEATURES);
    double before = 2;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        double density = json_number_value(json_object_get(o, "density"));
        assert_true(density > 0 && density <= before);
        before = density;
    }
    json_decref(list);
    must(run, FEATURES(run, "show", "3", "--json"));
    json_t *sheet = answer(run);
    assert_int_equal(json_integer_value(json_object_get(sheet, "feature")), 3);
    assert_true(json_array_size(json_object_get(sheet, "top")) > 4);
    json_decref(sheet);
    must(run, FEATURES(run, "neighbours", "3", "--json"));
    json_t *near = answer(run);
    assert_true(json_array_size(json_object_get(near, "together")) > 0);
    assert_true(json_array_size(json_object_get(near, "alike")) > 0);
    json_decref(near);
    must(run, FEATURES(run, "best", "--json")); /* tokens of one byte are no whole words */
    json_t *best = answer(run);
    assert_int_equal(json_array_size(best), 0);
    json_decref(best);
    must(run, FEATURES(run, "best", NULL));
    harness_has(run->out, "none of 24 features passes");
    harness_has(run->out, "`sluice features list");
    struct index_facts facts;
    assert_int_equal(index_facts_read(made, &facts), ERR_OK);
    assert_string_equal(facts.model, "tiny.gguf");
    must(run, inspect(run, made));
    harness_has(run->out, "there already");
}

/* Times of the largest activation are those of the index; another SAE's is refused. */
static void an_index_tells_how_strong(void **state)
{
    struct run *run = *state;
    char other[2 * HARNESS_PATH_BYTES];
    must(run, inspect(run, made));
    must(run, FEATURES(run, "show", "3", "--json"));
    json_t *sheet = answer(run);
    double largest = json_number_value(json_object_get(sheet, "largest"));
    json_decref(sheet);
#define STEER(of)                                                                                  \
    run_command(run, SECONDS, "sluice", "steer", of, "--model", model, "--exact-model",            \
                "--prompt", "the", "--tokens", "4", "--features", "3=2x", "--index", made,         \
                "--json", NULL)
    must(run, STEER(sae));
    json_t *json = answer(run), *one = json_array_get(json_object_get(json, "features"), 0);
    double value = json_number_value(json_object_get(one, "value"));
    if (!(fabs(value - 2 * largest) < 1e-4 * largest)) fail_msg("%g, not %g", value, 2 * largest);
    json_decref(json);
    struct subject subject;
    struct export_options options = {
        .model_name = "tiny", .hook_name = "resid_post.1", .prepends_bos = 1};
    snprintf(other, sizeof other, "%s/other", run->dir);
    tiny_subject("resid_post.1", &subject);
    subject.model.encoder->w.w_enc[5] += 1;
    assert_int_equal(export_saelens(model_view(&subject.model), &options, other), ERR_OK);
    subject_close(&subject);
    refused(run, STEER(other), 2, "is the index of another SAE");
}

/* A label stands beside its feature's number wherever one is told; nothing of it runs. */
static void labels_are_told_where_features_are(void **state)
{
    struct run *run = *state;
    char page[2 * HARNESS_PATH_BYTES], label[32], labels[4096] = "";
    must(run, inspect(run, made));
    for (int f = 0; f < TINY_FEATURES; f++) {
        snprintf(label, sizeof label, "%d\t<b>says\033 %d\n", f, f);
        strcat(labels, label);
    }
    run_write(run, "index/labels.tsv", labels);
    run_write(run, "these.txt", "the cat\nthe dog\na cow\n");
    run_write(run, "others.txt", "1234\n56789\n0 0 0\n");
    snprintf(page, sizeof page, "%s/page.html", run->dir);
    char these[2 * HARNESS_PATH_BYTES], others[2 * HARNESS_PATH_BYTES];
    snprintf(these, sizeof these, "%s/these.txt", run->dir);
    snprintf(others, sizeof others, "%s/others.txt", run->dir);
#define TRACE(...)                                                                                 \
    run_command(run, SECONDS, "sluice", "trace", sae, "--model", model, "--exact-model",           \
                "--index", made, __VA_ARGS__, NULL)
    must(run, TRACE("--prompt", "the cat"));
    harness_has(run->out, " (<b>says\\x1b ");
    is_plain(run->out);
    must(run, TRACE("--prompt", "the cat", "--json"));
    harness_has(run->out, "\"label\": \"<b>says");
    must(run, TRACE("--prompt", "the cat", "--next", "s"));
    harness_has(run->out, " (<b>says\\x1b ");
    is_plain(run->out);
    must(run, TRACE("--prompts", these, "--against", others, "--shuffles", "20"));
    harness_has(run->out, " (<b>says\\x1b ");
    is_plain(run->out);
    must(run, TRACE("--prompts", these, "--against", others, "--shuffles", "20", "--json"));
    harness_has(run->out, "\"label\": \"<b>says");
    must(run, TRACE("--prompt", "the cat", "--html", page));
    FILE *f = fopen(page, "r");
    static char html[65536];
    assert_non_null(f);
    html[fread(html, 1, sizeof html - 1, f)] = '\0';
    fclose(f);
    harness_has(html, "<dd>&#60;b&#62;says");
    harness_has_not(html, "<b>");
    is_plain(html);
#define STEER_LABELLED(...)                                                                        \
    run_command(run, SECONDS, "sluice", "steer", sae, "--model", model, "--exact-model",           \
                "--prompt", "the", "--tokens", "4", "--index", made, __VA_ARGS__, NULL)
    must(run, STEER_LABELLED("--features", "3=2x"));
    harness_has(run->out, " (<b>says\\x1b 3)");
    is_plain(run->out);
    must(run, STEER_LABELLED("--features", "3=2x", "--json"));
    harness_has(run->out, "\"label\": \"<b>says");
    must(run, STEER_LABELLED("--features", "3", "--sweep", "0,1x", "--texts", "1"));
    harness_has(run->out, "3 (<b>says\\x1b 3): strength 1 is");
    is_plain(run->out);
    struct subject subject;
    struct export_options options = {.model_name = "tiny", .hook_name = "resid_post.1"};
    char other[2 * HARNESS_PATH_BYTES];
    snprintf(other, sizeof other, "%s/other", run->dir);
    tiny_subject("resid_post.1", &subject);
    subject.model.encoder->w.w_enc[5] += 1;
    assert_int_equal(export_saelens(model_view(&subject.model), &options, other), ERR_OK);
    subject_close(&subject);
    refused(run,
            run_command(run, SECONDS, "sluice", "trace", other, "--model", model, "--exact-model",
                        "--index", made, "--prompt", "the cat", NULL),
            2, "is the index of another SAE");
}

static void nothing_of_a_corpus_runs(void **state)
{
    struct run *run = *state;
    char feature[16];
    must(run, inspect(run, made));
    must(run, FEATURES(run, "list", "--top", "0"));
    is_plain(run->out);
    int escapes = 0, gaps = 0;
    for (int f = 0; f < TINY_FEATURES; f++) {
        snprintf(feature, sizeof feature, "%d", f);
        must(run, FEATURES(run, "show", feature, "--contexts", "100"));
        is_plain(run->out);
        escapes += strstr(run->out, "\\x1b") != NULL;
        gaps += strstr(run->out, "[...]") != NULL;
        must(run, FEATURES(run, "neighbours", feature));
        is_plain(run->out);
    }
    assert_true(escapes > 0);
    assert_true(gaps > 0);
}

/* A letter or digit among the tokens that the feature promotes (0: none), which is not the one that it fires at
 * most, so that nothing else leads to it. */
static char promoted_letter(struct run *run, const char *feature)
{
    must(run, FEATURES(run, "list", "--top", "0", "--sort", "feature", "--json"));
    json_t *list = answer(run);
    const char *most =
        json_string_value(json_object_get(json_array_get(list, (size_t)atoi(feature)), "text"));
    char other = most && !most[1] ? most[0] : 0;
    json_decref(list);
    must(run, FEATURES(run, "show", feature));
    harness_has(run->out, "makes less likely (logit)");
    const char *at = strstr(run->out, "makes likelier (logit)");
    assert_non_null(at);
    const char *end = strstr(at, "makes less likely");
    for (; at < end; at++)
        if (at[0] == '\'' && at[2] == '\'' && isalnum((unsigned char)at[1]) &&
            tolower((unsigned char)at[1]) != tolower((unsigned char)other))
            return at[1];
    return 0;
}

static int finds(struct run *run, char letter, int feature)
{
    char text[2] = {letter};
    must(run, FEATURES(run, "search", text, "--json"));
    json_t *list = answer(run), *o;
    size_t i;
    int found = 0;
    json_array_foreach(list, i, o) found |=
        json_integer_value(json_object_get(o, "feature")) == feature;
    json_decref(list);
    return found;
}

/* The tokens that a feature promotes are told, and found; where the model is not to be run, not. */
static void what_a_feature_promotes_is_told(void **state)
{
    struct run *run = *state;
    char plain[2 * HARNESS_PATH_BYTES];
    int letters = 0;
    must(run, inspect(run, made));
    must(run, FEATURES(run, "show", "3", "--json"));
    json_t *sheet = answer(run);
    assert_int_equal(json_array_size(json_object_get(sheet, "promotes")), 10);
    assert_int_equal(json_array_size(json_object_get(sheet, "suppresses")), 10);
    json_decref(sheet);
    for (int f = 0; f < TINY_FEATURES; f++) {
        char feature[16];
        snprintf(feature, sizeof feature, "%d", f);
        char letter = promoted_letter(run, feature);
        if (!letter) continue;
        letters++;
        assert_int_equal(finds(run, letter, f), 1);
    }
    assert_true(letters > 2);
    snprintf(plain, sizeof plain, "%s/plain", run->dir);
    must(run, run_command(run, SECONDS, "sluice", "inspect", sae, plain, "--model", model,
                          "--exact-model", "--corpus", corpus, "--context", "64", "--no-promotes",
                          NULL));
    must(run, run_command(run, SECONDS, "sluice", "features", "show", plain, "3", NULL));
    harness_has_not(run->out, "makes likelier");
    refused(run, inspect(run, plain), 2, "--no-promotes");
}

static void labels_are_shown_and_found(void **state)
{
    struct run *run = *state;
    must(run, inspect(run, made));
    must(run, FEATURES(run, "label", "5", "Says hello"));
    must(run, FEATURES(run, "search", "HELLO"));
    harness_has(run->out, "Says hello");
    must(run, FEATURES(run, "show", "5"));
    harness_has(run->out, "feature 5 of sae: Says hello");
    must(run, FEATURES(run, "label", "5", ""));
    must(run, FEATURES(run, "search", "HELLO"));
    harness_has_not(run->out, "hello");
    refused(run, FEATURES(run, "label", "24", "x"), 2, "0 to 23");
    run_write(run, "index/labels.tsv", "4\t\033[31mred\n");
    must(run, FEATURES(run, "list", "--top", "0"));
    is_plain(run->out);
    harness_has(run->out, "\\x1b[31mred");
}

static int export_to(struct run *run, const char *layout, const char *to, const char *option,
                     const char *value)
{
    char out[2 * HARNESS_PATH_BYTES];
    snprintf(out, sizeof out, "%s/%s", run->dir, to);
    return run_command(run, SECONDS, "sluice", "features", "export", made, out, "--to", layout,
                       option, value, NULL);
}

static int is_there(const struct run *run, const char *name)
{
    char path[3 * HARNESS_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", run->dir, name);
    return access(path, F_OK) == 0;
}

static void an_index_leaves_for_other_tools(void **state)
{
    struct run *run = *state;
    must(run, run_command(run, SECONDS, "sluice", "inspect", sae, made, "--model", model,
                          "--exact-model", "--corpus", corpus, "--context", "64", "--keep-records",
                          NULL));
    must(run, export_to(run, "sae-dashboard", "a", NULL, NULL));
    harness_has(run->out, "convert-saedashboard-to-neuronpedia-export.py");
    must(run, export_to(run, "neuronpedia", "b", "--features", "3,5-6"));
    harness_has(run->out, "3 features of sae for neuronpedia");
    must(run, export_to(run, "delphi", "c/d", "--name", "x"));
    must(run, export_to(run, "circuit-tracer", "e", "--json", NULL));
    json_t *told = answer(run);
    assert_int_equal(json_integer_value(json_object_get(told, "features")), TINY_FEATURES);
    json_decref(told);
    assert_true(is_there(run, "a/batch-0.json") && is_there(run, "b/batch-0.json"));
    assert_true(is_there(run, "c/d/latents/layers.1/config.json"));
    assert_true(is_there(run, "e/features/index.json.gz") && !is_there(run, "e/pages"));
}

/* Of two layers in one folder, and never of one layer twice. */
static void several_layers_leave_together(void **state)
{
    struct run *run = *state;
    struct subject subject;
    struct export_options options = {.model_name = "tiny", .hook_name = "resid_post.0"};
    char first[2 * HARNESS_PATH_BYTES], out[2 * HARNESS_PATH_BYTES];
    must(run, inspect(run, made));
    snprintf(sae, sizeof sae, "%s/sae0", run->dir);
    snprintf(first, sizeof first, "%s/index0", run->dir);
    snprintf(out, sizeof out, "%s/out", run->dir);
    tiny_subject("resid_post.0", &subject);
    assert_int_equal(export_saelens(model_view(&subject.model), &options, sae), ERR_OK);
    subject_close(&subject);
    must(run, inspect(run, first));
#define BOTH(layout, more)                                                                         \
    run_command(run, SECONDS, "sluice", "features", "export", made, out, more, "--to", layout, NULL)
    refused(run, BOTH("circuit-tracer", made), 2, "two indexes are of layer 1");
    refused(run, BOTH("neuronpedia", first), 2, "of one index");
    must(run, BOTH("circuit-tracer", first));
    harness_has(run->out, "48 features");
    assert_true(is_there(run, "out/features/layer_0.bin"));
    assert_true(is_there(run, "out/features/layer_1.bin"));
    run_command(run, SECONDS, "/bin/sh", "-c", "gzip -dc <\"$0\"/features/index.json.gz", out,
                NULL);
    json_t *layers = answer(run);
    assert_int_equal(json_object_size(layers), 2);
    json_decref(layers);
}

/* What is there stays, and what is half made goes. */
static void an_export_is_whole_or_not_there(void **state)
{
    struct run *run = *state;
    char program[HARNESS_PATH_BYTES], command[8 * HARNESS_PATH_BYTES];
    must(run, inspect(run, made));
    refused(run, export_to(run, "neuronpedia", "index", NULL, NULL), 2, "not an empty folder");
    refused(run, export_to(run, "word", "a", NULL, NULL), 2, "circuit-tracer");
    refused(run, export_to(run, "delphi", "a", NULL, NULL), 2, "--keep-records");
    refused(run, export_to(run, "neuronpedia", "a", "--features", "5-"), 2, "0 to 23");
    refused(run, export_to(run, "neuronpedia", "a", "--features", "24"), 2, "0 to 23");
    refused(run, export_to(run, "neuronpedia", "a", "--features", "7-6"), 2, "0 to 23");
    refused(run, export_to(run, "neuronpedia", "a", "--features", ""), 2, "0 to 23");
    assert_int_equal(export_to(run, "neuronpedia", "a", "--name", "\xff"), 2);
    assert_int_equal(export_to(run, "neuronpedia", "a", "--pages", NULL), 2);
    run_program("sluice", program);
    snprintf(command, sizeof command,
             "trap '' XFSZ; ulimit -f 8; exec %s features export %s %s/a --to neuronpedia", program,
             made, run->dir);
    assert_int_equal(run_command(run, SECONDS, "/bin/sh", "-c", command, NULL), 1);
    harness_has(run->err, "batch-0.json");
    snprintf(command, sizeof command, "ls %s | grep -c '^a'", run->dir);
    run_command(run, SECONDS, "/bin/sh", "-c", command, NULL);
    assert_string_equal(run->out, "0\n");
}

static json_int_t context_of(const struct run *run, const char *index)
{
    char path[3 * HARNESS_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s/index.json", run->dir, index);
    json_t *facts = json_load_file(path, 0, NULL);
    json_int_t n = json_integer_value(json_object_get(facts, "context_tokens"));
    json_decref(facts);
    return n;
}

/* Of a run's configuration: its own rows, and what the command is told before what that says. */
static void a_configurations_rows_are_read(void **state)
{
    struct run *run = *state;
    char extra[3 * HARNESS_PATH_BYTES], rest[3 * HARNESS_PATH_BYTES];
    char to[2][2 * HARNESS_PATH_BYTES];
    snprintf(extra, sizeof extra, "model: %s, hooks: [resid_post.1], dtype: f32", model);
    snprintf(rest, sizeof rest,
             "capture: { corpus: [%s], context_tokens: 64, exact_model: true, threads: 1 }\n"
             "sink: { size: 2MiB }\n"
             "trainer: { batch_rows: 256, min_rows: 500, checkpoint_seconds: 1, saes: "
             "[ { arch: topk, features: 32, k: 4, lr: 1e-3 } ] }\n",
             corpus);
    run_configure(run, extra, rest);
    must(run, run_command(run, SECONDS, "sluice", "up", run->config, NULL));
    for (int i = 0; i < 2; i++) snprintf(to[i], sizeof to[i], "%s/of_run_%d", run->dir, i);
    must(run, run_command(run, SECONDS, "sluice", "inspect", run->config, to[0], NULL));
    must(run, run_command(run, SECONDS, "sluice", "inspect", run->config, to[1], "--context", "32",
                          "--threads", "2", NULL));
    assert_int_equal(context_of(run, "of_run_0"), 64);
    assert_int_equal(context_of(run, "of_run_1"), 32);
    must(run,
         run_command(run, SECONDS, "sluice", "trace", run->config, "--prompt", "the cat", NULL));
    /* the run's folder has the model's name alone */
    refused(run,
            run_command(run, SECONDS, "sluice", "trace", run->state, "--prompt", "the cat", NULL),
            2, "or --model FILE.gguf");
}

static void what_is_wrong_is_told(void **state)
{
    struct run *run = *state;
    char other[2 * HARNESS_PATH_BYTES];
    must(run, inspect(run, made));
    refused(run, FEATURES(run, "show", "24"), 2, "0 to 23");
    refused(run, FEATURES(run, "show", "x"), 2, "0 to 23");
    refused(run, FEATURES(run, "show", "18446744073709551619"), 2, "0 to 23");
    refused(run, run_command(run, SECONDS, "sluice", "features", "list", run->dir, NULL), 2,
            "is no feature index");
    refused(run, inspect(run, run->dir), 2, "is no feature index");
    run_write(run, "corpus.txt", "other words, of which there are enough for a context or two\n");
    refused(run, inspect(run, made), 2, "another corpus");
    run_write(run, "index/features.table", "short");
    refused(run, FEATURES(run, "list", "--json"), 1, "features.table has 5 bytes");
    snprintf(other, sizeof other, "%s/other", run->dir);
    refused(run,
            run_command(run, SECONDS, "sluice", "inspect", sae, other, "--model", model, "--memory",
                        "lots", NULL),
            2, "--memory");
    refused(run,
            run_command(run, SECONDS, "sluice", "inspect", sae, other, "--model", model, "--memory",
                        "1MiB", NULL),
            1, "too few to sort by 24 features");
    assert_int_equal(access(other, F_OK), -1); /* it was told before anything was read */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_index_is_made_and_told, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(an_index_tells_how_strong, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(labels_are_told_where_features_are, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(nothing_of_a_corpus_runs, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(what_a_feature_promotes_is_told, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(labels_are_shown_and_found, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(an_index_leaves_for_other_tools, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(several_layers_leave_together, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(an_export_is_whole_or_not_there, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_configurations_rows_are_read, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_told, set_up, run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
