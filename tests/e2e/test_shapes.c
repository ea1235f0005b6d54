/*
 * What can be done with an SAE of which shape: the table of docs/features.md, cell by cell, on SAEs of
 * a tiny model that one run has trained, and on exports of them. What is refused says what works.
 */
#include "tests/e2e/harness.h"
#include "tests/products.h"
#include "tests/tiny_models.h"

#include <stdlib.h>

enum { SECONDS = 120, NAME_BYTES = 32 };

static char model[HARNESS_PATH_BYTES + 32], corpus[HARNESS_PATH_BYTES + 32];

static const char saes[] =
    "{ name: dictionary, arch: topk, features: 64, k: 4, lr: 1e-3, hooks: resid_post.1 },\n"
    "{ name: added, arch: topk, features: 64, k: 4, lr: 1e-3, hooks: ffn_out-1 },\n"
    "{ name: transcoder, arch: transcoder, features: 64, k: 4, hooks: \"ffn_norm-1, ffn_out-1\" "
    "},\n"
    "{ name: skip, arch: transcoder, features: 64, k: 4, skip: true,\n"
    "  hooks: \"ffn_norm-1, ffn_out-1\" },\n"
    "{ name: crosscoder, arch: crosscoder, activation: batchtopk, features: 64, k: 4,\n"
    "  hooks: \"resid_post.0, resid_post.1\" },\n"
    "{ name: clt, arch: clt, features: 64, target_l0: 8,\n"
    "  hooks: \"ffn_norm-1, ffn_out-1, ffn_norm-2, ffn_out-2\" }";

static void write_corpus(const struct run *run)
{
    static const char *const words[] = {"the cat", "a dog", "rain", "some other", "these"};
    FILE *file;
    snprintf(corpus, sizeof corpus, "%s/corpus.jsonl", run->dir);
    assert_non_null(file = fopen(corpus, "w"));
    for (int i = 0; i < 300; i++)
        fprintf(file, "{\"text\": \"%s in line %d, which is about %d and %s\"}\n", words[i % 5], i,
                i * 7919 % 1000, words[i * 7 % 5]);
    assert_int_equal(fclose(file), 0);
}

static void must(struct run *run, int code, const char *what)
{
    if (code != 0) fail_msg("%s: exit code %d: %s", what, code, run->err);
}

/* `capture` and `trainer`: more keys of theirs. */
static void train(struct run *run, const char *capture, const char *trainer, const char *of)
{
    char extra[HARNESS_PATH_BYTES + 256], rest[2 * HARNESS_PATH_BYTES + 2048];
    snprintf(model, sizeof model, "%s/tiny.gguf", run->dir);
    tiny_write(model, &(struct tiny){.architecture = "llama", .layers = 3});
    write_corpus(run);
    snprintf(extra, sizeof extra,
             "model: %s, dtype: f32, hooks: [resid_post.0, resid_post.1, ffn_norm-1, ffn_out-1, "
             "ffn_norm-2, ffn_out-2]",
             model);
    snprintf(rest, sizeof rest,
             "capture: { corpus: [%s], context_tokens: 64, exact_model: true, threads: 1,\n"
             "           %s }\n"
             "sink: { size: 32MiB }\n"
             "trainer: { batch_rows: 256, min_rows: 2000, %s, saes: [\n%s ] }\n",
             corpus, capture, trainer, of);
    run_configure(run, extra, rest);
    must(run, run_command(run, SECONDS, "sluice", "up", run->config, NULL), "up");
}

static int run_set_up_trained(void **state)
{
    if (run_set_up(state) != 0) return -1;
    train(*state, "rows: 8000", "reuse: 1", saes);
    return 0;
}

/* A command on one of the run's SAEs, or on what --sae is not told of. */
#define ON(run, sae, word, ...)                                                                    \
    run_command(run, SECONDS, "sluice", word, run->state, "--sae", sae, "--model", model,          \
                "--exact-model", "--threads", "1", __VA_ARGS__, NULL)

static void index_of(const struct run *run, const char *sae, char out[HARNESS_PATH_BYTES + 64])
{
    snprintf(out, HARNESS_PATH_BYTES + 64, "%s/index-%s", run->dir, sae);
}

/* An index is made and read; `promotes`: whether it tells promoted tokens. */
static void inspects(struct run *run, const char *sae, int promotes)
{
    char index[HARNESS_PATH_BYTES + 64];
    int features = 0;
    index_of(run, sae, index);
    int code =
        run_command(run, SECONDS, "sluice", "inspect", run->state, index, "--sae", sae, "--model",
                    model, "--exact-model", "--threads", "1", "--corpus", corpus, NULL);
    must(run, code, sae);
    if (promotes)
        harness_has_not(run->err, "promoted tokens are left out");
    else
        harness_has(run->err, "promoted tokens are left out");
    code = run_command(run, SECONDS, "sluice", "features", "list", index, "--json", "--top", "0",
                       NULL);
    must(run, code, sae);
    for (const char *at = run->out; (at = strstr(at, "\"feature\"")); at++) features++;
    assert_int_equal(features, 64);
    code = run_command(run, SECONDS, "sluice", "features", "show", index, "3", NULL);
    must(run, code, sae);
    if (promotes) harness_has(run->out, "makes likelier (logit)");
}

static void traces(struct run *run, const char *sae)
{
    must(run, ON(run, sae, "trace", "--prompt", "the cat"), sae);
    harness_has(run->out, "strongest features");
    char a[HARNESS_PATH_BYTES + 32], b[HARNESS_PATH_BYTES + 32];
    run_write(run, "these.txt", "the cat sat\nthe cat ran\nthe cat lay\n");
    run_write(run, "those.txt", "rain fell\nrain came\nrain went\n");
    snprintf(a, sizeof a, "%s/these.txt", run->dir);
    snprintf(b, sizeof b, "%s/those.txt", run->dir);
    must(run, ON(run, sae, "trace", "--prompts", a, "--against", b), sae);
}

static void next_steer_eval(struct run *run, const char *sae, int works)
{
    int code[3];
    static const char *const words[] = {"trace --next", "steer", "eval"};
    char err[3][HARNESS_TEXT_BYTES];
    code[0] = ON(run, sae, "trace", "--prompt", "the", "--next", "e");
    memcpy(err[0], run->err, sizeof err[0]);
    code[1] = ON(run, sae, "steer", "--prompt", "the", "--tokens", "4", "--features", "3=2x",
                 "--max", "3=1");
    memcpy(err[1], run->err, sizeof err[1]);
    code[2] = ON(run, sae, "eval", "--corpus", corpus, "--tokens", "512");
    memcpy(err[2], run->err, sizeof err[2]);
    for (int i = 0; i < 3; i++) {
        if (code[i] != (works ? 0 : 2)) fail_msg("%s %s: %d: %s", words[i], sae, code[i], err[i]);
        if (works) continue;
        harness_has(err[i], "needs a dictionary");
        harness_has(err[i], "`sluice inspect`, `sluice features` and `sluice trace` of a prompt");
    }
}

static void every_shape_does_what_the_table_says(void **state)
{
    struct run *run = *state;
    static const struct {
        const char *sae;
        int promotes, is_dictionary;
    } row[] = {{"dictionary", 1, 1}, {"added", 1, 1},      {"transcoder", 1, 0},
               {"skip", 1, 0},       {"crosscoder", 1, 0}, {"clt", 1, 0}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        inspects(run, row[i].sae, row[i].promotes);
        traces(run, row[i].sae);
        next_steer_eval(run, row[i].sae, row[i].is_dictionary);
    }
}

/* Whitening is folded into the weights: rows stay raw. */
static void a_whitened_one_is_a_dictionary(void **state)
{
    struct run *run = *state;
    train(run, "rows: 8000", "whiten: true",
          "{ name: dictionary, arch: topk, features: 64, k: 4, lr: 1e-3, hooks: resid_post.1 }");
    inspects(run, "dictionary", 1);
    traces(run, "dictionary");
    next_steer_eval(run, "dictionary", 1);
}

/* What `features list` tells of an index. */
static char *listed(struct run *run, const char *index)
{
    int code = run_command(run, SECONDS, "sluice", "features", "list", index, "--json", "--top",
                           "0", "--sort", "feature", NULL);
    must(run, code, index);
    return strdup(run->out);
}

/* A stream that stays in its buffer is inspected out of it as out of its corpus, whatever hooks an
 * SAE sees: the same rows are kept, and the same features fire at them as much. */
static void a_buffer_tells_what_its_corpus_tells(void **state)
{
    struct run *run = *state;
    static const char *const names[] = {"dictionary", "transcoder", "crosscoder", "clt"};
    char buffer[HARNESS_PATH_BYTES + 16], sae[HARNESS_PATH_BYTES + 16];
    train(run, "rows: 0", "consumers: []", saes);
    snprintf(buffer, sizeof buffer, "%s/buffer", run->state);
    snprintf(sae, sizeof sae, "%s/replay", run->state);
    must(run, run_command(run, SECONDS, "sluice-trainer", "--replay", buffer, run->config, NULL),
         "replay");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char from[2][HARNESS_PATH_BYTES + 64];
        for (int k = 0; k < 2; k++) {
            snprintf(from[k], sizeof from[k], "%s/%s-%d", run->dir, names[i], k);
            int code = run_command(run, SECONDS, "sluice", "inspect", sae, from[k], "--sae",
                                   names[i], "--model", model, "--exact-model", "--threads", "1",
                                   k ? "--from-buffer" : "--corpus", k ? NULL : corpus, NULL);
            must(run, code, names[i]);
        }
        char *engine = listed(run, from[0]), *slabs = listed(run, from[1]);
        if (strcmp(engine, slabs) != 0) fail_msg("%s: %s\nnot\n%s", names[i], slabs, engine);
        assert_non_null(strstr(slabs, "\"text\": \""));
        free(engine);
        free(slabs);
    }
}

int main(void)
{
    products_do_not_depend_on_places();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_shape_does_what_the_table_says, run_set_up_trained,
                                        run_tear_down),
        cmocka_unit_test_setup_teardown(a_whitened_one_is_a_dictionary, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_buffer_tells_what_its_corpus_tells, run_set_up,
                                        run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
