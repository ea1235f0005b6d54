/*
 * What `sluice steer --additive --export` writes, read by a program that knows llama.cpp's own
 * interface alone, as llama.cpp's programs read it: direction.N is what is added behind layer N. It
 * gives the tokens of `sluice steer`, so sign, size and layer are right.
 */
#include "sae/export/export.h"
#include "tests/e2e/harness.h"
#include "tests/unit/inspect/tiny_subject.h"

#include <gguf.h>
#include <jansson.h>
#include <llama.h>

enum { SECONDS = 60, TOKENS = 24 };

static char sae[2][2 * HARNESS_PATH_BYTES], model[2 * HARNESS_PATH_BYTES];
static char vector[2 * HARNESS_PATH_BYTES];
static const char text[] = "the cat";

static void export_sae(const char *hook, float change, const char *to)
{
    struct subject subject;
    struct export_options options = {.model_name = "tiny", .hook_name = hook};
    tiny_subject(hook, &subject);
    subject.model.encoder->w.w_dec[3 * TINY_WIDTH] += change; /* another one's weights */
    assert_int_equal(export_saelens(model_view(&subject.model), &options, to), ERR_OK);
    subject_close(&subject);
}

static void make_model(const char *architecture)
{
    struct tiny tiny = {.architecture = architecture, .layers = TINY_LAYERS};
    tiny_write(model, &tiny);
    remove(vector);
}

static int set_up(void **state)
{
    if (run_set_up(state) != 0) return -1;
    struct run *run = *state;
    snprintf(model, sizeof model, "%s/tiny.gguf", run->dir);
    snprintf(vector, sizeof vector, "%s/vector.gguf", run->dir);
    for (int i = 0; i < 2; i++) {
        char hook[32];
        snprintf(sae[i], sizeof sae[i], "%s/sae%d", run->dir, i);
        snprintf(hook, sizeof hook, "resid_post.%d", i + 1);
        export_sae(hook, (float)i, sae[i]);
    }
    make_model("llama");
    return 0;
}

/* ---- llama.cpp alone ---- */

struct control {
    int32_t width, layers; /* of the file's last direction */
    float *data;           /* (layers, width), from layer 1 on */
};

/* As llama.cpp's own reader does: tensors by name, a direction's number is its layer. */
static struct control read_vector(void)
{
    struct ggml_context *ggml = NULL;
    struct gguf_init_params params = {.ctx = &ggml};
    struct gguf_context *gguf = gguf_init_from_file(vector, params);
    struct control c = {0};
    assert_non_null(gguf);
    int64_t count = gguf_get_n_tensors(gguf);
    assert_string_equal(gguf_get_val_str(gguf, gguf_find_key(gguf, "general.architecture")),
                        "controlvector");
    assert_int_equal(gguf_get_val_i32(gguf, gguf_find_key(gguf, "controlvector.layer_count")),
                     count);
    for (int64_t i = 0; i < count; i++) {
        const char *name = gguf_get_tensor_name(gguf, i);
        struct ggml_tensor *t = ggml_get_tensor(ggml, name);
        int32_t layer = atoi(strchr(name, '.') + 1);
        assert_int_equal(strncmp(name, "direction.", 10), 0);
        assert_true(layer >= 1 && t->type == GGML_TYPE_F32 && ggml_n_dims(t) == 1);
        c.width = (int32_t)ggml_nelements(t);
        if (layer > c.layers) {
            size_t before = (size_t)(c.layers * c.width), all = (size_t)(layer * c.width);
            c.data = realloc(c.data, all * sizeof *c.data);
            assert_non_null(c.data);
            memset(c.data + before, 0, (all - before) * sizeof *c.data);
            c.layers = layer;
        }
        memcpy(c.data + (layer - 1) * c.width, ggml_get_data_f32(t),
               (size_t)c.width * sizeof(float));
    }
    gguf_free(gguf);
    ggml_free(ggml);
    return c;
}

/* The likeliest next token; *nats grows by -log of its probability. */
static int32_t likeliest(struct llama_context *context, int32_t vocabulary, double *nats)
{
    const float *logits = llama_get_logits_ith(context, -1);
    int32_t best = 0;
    double sum = 0;
    for (int32_t v = 1; v < vocabulary; v++)
        if (logits[v] > logits[best]) best = v;
    for (int32_t v = 0; v < vocabulary; v++) sum += exp((double)logits[v] - (double)logits[best]);
    *nats += log(sum);
    return best;
}

/* Greedily; with the vector where one is told. */
static int32_t generate(const struct control *control, int32_t *tokens, double *nats)
{
    *nats = 0;
    struct llama_model_params how = llama_model_default_params();
    struct llama_context_params params = llama_context_default_params();
    struct llama_model *m = llama_model_load_from_file(model, how);
    assert_non_null(m);
    params.n_ctx = 128;
    struct llama_context *context = llama_init_from_model(m, params);
    const struct llama_vocab *vocab = llama_model_get_vocab(m);
    llama_token prompt[64];
    int32_t n = llama_tokenize(vocab, text, sizeof text - 1, prompt, 64, true, false), made = 0;
    assert_true(context && n > 0);
    if (control)
        assert_int_equal(llama_set_adapter_cvec(context, control->data,
                                                (size_t)(control->layers * control->width),
                                                control->width, 1, llama_model_n_layer(m)),
                         0);
    struct llama_batch batch = llama_batch_get_one(prompt, n);
    while (made < TOKENS) {
        assert_int_equal(llama_decode(context, batch), 0);
        tokens[made] = likeliest(context, llama_vocab_n_tokens(vocab), nats);
        if (llama_vocab_is_eog(vocab, tokens[made++])) break;
        batch = llama_batch_get_one(&tokens[made - 1], 1);
    }
    llama_free(context);
    llama_model_free(m);
    return made;
}

/* ---- sluice ---- */

#define STEER(run, ...)                                                                            \
    run_command(run, SECONDS, "sluice", "steer", sae[0], "--model", model, "--exact-model",        \
                "--threads", "1", "--prompt", text, __VA_ARGS__, NULL)
#define EXPORT(run, ...)                                                                           \
    STEER(run, "--additive", "--export", vector, "--temperature", "0", "--tokens", "24", "--json", \
          __VA_ARGS__)

static void same_tokens(struct run *run, int code)
{
    int32_t plain[TOKENS], steered[TOKENS];
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    struct control control = read_vector();
    double nats[2];
    int32_t plain_count = generate(NULL, plain, &nats[0]);
    int32_t count = generate(&control, steered, &nats[1]);
    json_t *json = json_loads(run->out, 0, NULL);
    static const char *const names[] = {"unsteered", "steered"};
    const int32_t *tokens[] = {plain, steered}, counts[] = {plain_count, count};
    for (int i = 0; i < 2; i++) {
        json_t *one = json_object_get(json, names[i]), *list = json_object_get(one, "tokens");
        double own = json_number_value(json_object_get(one, "nats_per_token")) * counts[i];
        assert_int_equal(json_array_size(list), counts[i]);
        for (int32_t t = 0; t < counts[i]; t++)
            if (json_integer_value(json_array_get(list, (size_t)t)) != tokens[i][t])
                fail_msg("%s token %d: llama.cpp gives %d: %s", names[i], t, tokens[i][t],
                         run->out);
        if (!(fabs(own - nats[i]) < 1e-3 * nats[i])) /* finer than tokens: the first row, too */
            fail_msg("%s: %g nats, and llama.cpp has %g", names[i], own, nats[i]);
    }
    assert_true(count != plain_count || memcmp(plain, steered, sizeof *plain * (size_t)count) != 0);
    json_decref(json);
    free(control.data);
}

static void llama_cpp_gives_the_same_tokens(void **state)
{
    static const char *const architectures[] = {"llama", "gemma2", "gptneox"};
    struct run *run = *state;
    for (size_t i = 0; i < 3; i++) {
        make_model(architectures[i]);
        same_tokens(run, EXPORT(run, "--features", "3=60,5=-35"));
    }
}

static void several_layers_go_into_one_file(void **state)
{
    struct run *run = *state;
    same_tokens(run, EXPORT(run, "--features", "3=6,sae1:5=7", "--with", sae[1]));
    struct control c = read_vector();
    assert_int_equal(c.layers, 2);
    free(c.data);
}

static void refused(struct run *run, int code, const char *words)
{
    if (code != 2) fail_msg("exit code %d where '%s' was to come: %s", code, words, run->err);
    harness_has(run->err, words);
    harness_has(run->err, "HINT");
}

static void what_is_no_control_vector_is_refused(void **state)
{
    struct run *run = *state;
    char other[2 * HARNESS_PATH_BYTES];
    static const char *const hooks[] = {"resid_post.0", "attn_out.1", "resid_mid.1", "attn_norm-1"};
    for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++) {
        snprintf(other, sizeof other, "%s/other%zu", run->dir, i);
        export_sae(hooks[i], 0, other);
        refused(run,
                run_command(run, SECONDS, "sluice", "steer", other, "--model", model,
                            "--exact-model", "--prompt", text, "--features", "3=4", "--additive",
                            "--export", vector, NULL),
                "a control vector cannot steer");
    }
    refused(run, STEER(run, "--features", "3=4", "--export", vector), "--additive");
    refused(run, EXPORT(run, "--features", "3=4", "--positions", "2-5"), "at every position");
    refused(run, EXPORT(run, "--features", "3=4", "--positions", "all"), "at every position");
    refused(run, EXPORT(run, "--features", "3", "--sweep", "1,2"), "takes one strength");
    run_write(run, "vector.gguf", "mine");
    refused(run, EXPORT(run, "--features", "3=4"), "it is there already");
    FILE *kept = fopen(vector, "r");
    char four[5] = "";
    assert_int_equal(fread(four, 1, 4, kept), 4);
    fclose(kept);
    assert_string_equal(four, "mine");
}

static void say_nothing(enum ggml_log_level level, const char *said, void *arg)
{
    (void)level;
    (void)said;
    (void)arg;
}

int main(void)
{
    llama_log_set(say_nothing, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(llama_cpp_gives_the_same_tokens, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(several_layers_go_into_one_file, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_control_vector_is_refused, set_up,
                                        run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
