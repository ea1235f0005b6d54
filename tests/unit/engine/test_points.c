/* Hooks by the names that people know, and what they mean: parts of a layer add up. */
#include "tests/tiny_models.h"
#include "tests/unit/engine/rows.h"

#include "engine/llama_hooks.h"

static char cache[256], corpus_file[512];
static const char *corpus = corpus_file;

static int setup(void **state)
{
    if (make_folder(state) != 0) return -1;
    snprintf(cache, sizeof cache, "%s/cache", folder);
    char *text = make_text(5, 60);
    snprintf(corpus_file, sizeof corpus_file, "%s", write_text("corpus.txt", text));
    free(text);
    return 0;
}

static struct engine_options options_of(const char *model, const char *const *hooks, uint32_t count)
{
    return (struct engine_options){.kind = ENGINE_LLAMA,
                                   .hooks = hooks,
                                   .hooks_count = count,
                                   .share_count = 1,
                                   .model_file = model,
                                   .cache_dir = cache,
                                   .cache_limit_bytes = 8ull << 30,
                                   .corpus = &corpus,
                                   .corpus_count = 1,
                                   .text_field = "text",
                                   .context_tokens = 32,
                                   .batch_contexts = 2,
                                   .threads = 2,
                                   .prepend_bos = -1};
}

static const char *tiny_model(const char *architecture, int layers)
{
    struct tiny tiny = {.architecture = architecture, .layers = layers};
    static char path[256];
    snprintf(path, sizeof path, "%s", in_folder("tiny.gguf"));
    tiny_write(path, &tiny);
    return path;
}

/* ---- names ---- */

static void names_mean_points(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum llama_hook_point point;
        const char *node;
        int32_t layer;
    } all[] = {
        {"resid_post.3", POINT_NODE, "l_out-3", 3},
        {"blocks.3.hook_resid_post", POINT_NODE, "l_out-3", 3},
        {"model.layers.3", POINT_NODE, "l_out-3", 3},
        {"transformer.h.3", POINT_NODE, "l_out-3", 3},
        {"gpt_neox.layers.3", POINT_NODE, "l_out-3", 3},
        {"layers.3", POINT_NODE, "l_out-3", 3},
        {"model.language_model.layers.3", POINT_NODE, "l_out-3", 3},
        {"resid_pre.3", POINT_NODE, "l_out-2", 2},
        {"blocks.3.hook_resid_pre", POINT_NODE, "l_out-2", 2},
        {"resid_pre.0", POINT_RESID_PRE, "", 0},
        {"resid_mid.3", POINT_RESID_MID, "", 3},
        {"blocks.3.hook_resid_mid", POINT_RESID_MID, "", 3},
        {"attn_out.3", POINT_ATTN_OUT, "", 3},
        {"blocks.3.hook_attn_out", POINT_ATTN_OUT, "", 3},
        {"mlp_out.3", POINT_MLP_OUT, "", 3},
        {"blocks.13.hook_mlp_out", POINT_MLP_OUT, "", 13},
        {"model.layers.3.mlp", POINT_MLP_MODULE, "", 3},
        {"model.layers.3.self_attn", POINT_ATTN_MODULE, "", 3},
        {"transformer.h.3.attn", POINT_ATTN_MODULE, "", 3},
        {"gpt_neox.layers.3.attention", POINT_ATTN_MODULE, "", 3},
        {"ffn_out-7", POINT_NODE, "ffn_out-7", 7},
        {"attn_out-7", POINT_NODE, "attn_out-7", 7},
        {"model.layers.3.input_layernorm", POINT_NODE, "model.layers.3.input_layernorm", -1},
        {"blocks.3.mlp.hook_post", POINT_NODE, "blocks.3.mlp.hook_post", -1},
        {"result_norm", POINT_NODE, "result_norm", -1},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct llama_hooks h;
        assert_int_equal(llama_hooks_parse(&all[i].name, 1, &h), ERR_OK);
        print_message("%s\n", all[i].name);
        assert_int_equal(h.hook[0].point, all[i].point);
        assert_string_equal(h.hook[0].node, all[i].node);
        assert_int_equal(h.hook[0].layer, all[i].layer);
    }
    static const char *const bad[] = {"resid_mid", "resid_mid.", "mlp_out.x", "attn_out.-1",
                                      "resid_pre.12345678"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct llama_hooks h;
        assert_int_equal(llama_hooks_parse(&bad[i], 1, &h), ERR_USAGE);
        assert_non_null(strstr(err_text(), "no layer"));
    }
}

static void two_names_of_one_point_are_refused(void **state)
{
    (void)state;
    static const char *const same[][2] = {{"resid_post.3", "blocks.3.hook_resid_post"},
                                          {"resid_pre.4", "model.layers.3"},
                                          {"mlp_out.2", "blocks.2.hook_mlp_out"}};
    for (size_t i = 0; i < 3; i++) {
        struct llama_hooks h;
        assert_int_equal(llama_hooks_parse(same[i], 2, &h), ERR_USAGE);
        assert_non_null(strstr(err_text(), "the same node"));
    }
    /* Of a llama the module's output is what is added, which only its graph tells. */
    static const char *const hooks[] = {"mlp_out.1", "model.layers.1.mlp"};
    struct engine_options options = options_of(tiny_model("llama", 4), hooks, 2);
    struct engine *e;
    assert_int_equal(engine_open(&options, &e), ERR_USAGE);
    assert_non_null(strstr(err_text(), "the same node"));
}

/* ---- values ---- */

/* Hooks lie side by side, `width` values each: |a + b - sum| / |sum| of the worst row. */
static double worst_sum(const struct rows *r, uint32_t a, uint32_t b, uint32_t sum, uint32_t width)
{
    double worst = 0;
    for (size_t i = 0; i < r->count; i++) {
        float added[4096];
        const float *x = row_of(r, i);
        for (uint32_t k = 0; k < width; k++) added[k] = x[a * width + k] + x[b * width + k];
        double off = distance(added, x + sum * width, width);
        if (!(off <= worst)) worst = off;
    }
    return worst;
}

static void parts_add_up(const char *model, int layer)
{
    static char names[5][64];
    static const char *const hooks[] = {names[0], names[1], names[2], names[3], names[4]};
    snprintf(names[0], 64, "resid_pre.%d", layer);
    snprintf(names[1], 64, "blocks.%d.hook_attn_out", layer);
    snprintf(names[2], 64, "resid_mid.%d", layer);
    snprintf(names[3], 64, "mlp_out.%d", layer);
    snprintf(names[4], 64, "model.layers.%d", layer);
    struct engine_options options = options_of(model, hooks, 5);
    struct rows r = all_rows(&options);
    uint32_t width = r.width / 5;
    assert_true(r.count > 50);
    assert_true(worst_sum(&r, 0, 1, 2, width) < 1e-6);
    assert_true(worst_sum(&r, 2, 3, 4, width) < 1e-6);
    for (uint32_t part = 1; part < 4; part += 2) { /* and are no zeros */
        double square = 0;
        for (uint32_t k = 0; k < width; k++) {
            double x = row_of(&r, 10)[part * width + k];
            square += x * x;
        }
        assert_true(square > 0);
    }
    free_rows(&r);
}

static void parts_of_layers_add_up(void **state)
{
    (void)state;
    static const char *const architectures[] = {"llama",   "gemma2",   "gemma3", "minicpm",
                                                "exaone4", "minicpm3", "lfm2"};
    parts_add_up(model_path(), 0);
    parts_add_up(model_path(), 3);
    parts_add_up(model_path(), 29); /* the last, whose rows llama.cpp thins out */
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++) {
        print_message("%s\n", architectures[i]);
        const char *model = tiny_model(architectures[i], 6);
        parts_add_up(model, 0);
        parts_add_up(model, 2);
        parts_add_up(model, 5);
    }
}

static void parallel_parts_add_up(void **state)
{
    (void)state;
    static const char *const hooks[] = {"resid_pre.1", "attn_out.1", "mlp_out.1", "resid_post.1"};
    const char *model = tiny_model("gptneox", 4);
    struct engine_options options = options_of(model, hooks, 4);
    struct rows r = all_rows(&options);
    uint32_t width = r.width / 4;
    for (size_t i = 0; i < r.count; i++) {
        float sum[TINY_WIDTH];
        const float *x = row_of(&r, i);
        for (uint32_t k = 0; k < width; k++) sum[k] = x[k] + x[width + k] + x[2 * width + k];
        assert_true(distance(sum, x + 3 * width, width) < 1e-5);
    }
    free_rows(&r);
    static const char *const middle[] = {"resid_mid.1"};
    struct engine *e;
    options = options_of(model, middle, 1);
    assert_int_equal(engine_open(&options, &e), ERR_USAGE);
    assert_non_null(strstr(err_text(), "parallel"));
    assert_non_null(strstr(err_text(), "resid_post.0 to resid_post.3"));
}

/* Behind a norm the module's own output is another thing than what is added. */
static void a_module_is_before_the_norm_behind_it(void **state)
{
    (void)state;
    static const char *const hooks[] = {"mlp_out.1", "model.layers.1.mlp", "attn_out.1",
                                        "model.layers.1.self_attn"};
    struct engine_options options = options_of(tiny_model("gemma2", 4), hooks, 4);
    struct rows r = all_rows(&options);
    for (size_t i = 0; i < r.count; i++) {
        const float *x = row_of(&r, i);
        assert_true(distance(x, x + TINY_WIDTH, TINY_WIDTH) > 0.01);
        assert_true(distance(x + 2 * TINY_WIDTH, x + 3 * TINY_WIDTH, TINY_WIDTH) > 0.01);
    }
    free_rows(&r);
}

static void what_is_not_there_is_told_with_what_is(void **state)
{
    (void)state;
    static const struct {
        const char *hook, *says;
    } all[] = {{"resid_post.9", "layers 0 to 3"},
               {"mlp_out.4", "layers 0 to 3"},
               {"blocks.1.mlp.hook_post", "resid_post.0 to resid_post.3"},
               {"ffn_otu-1", "ffn_out-0..3"}};
    const char *model = tiny_model("llama", 4);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct engine_options options = options_of(model, &all[i].hook, 1);
        struct engine *e;
        assert_int_equal(engine_open(&options, &e), ERR_USAGE);
        print_message("%s\n", err_text());
        assert_non_null(strstr(err_text(), all[i].says));
        assert_non_null(strstr(err_text(), "resid_post.0 to resid_post.3"));
    }
}

/* Each node fits, the row of both does not: `sluice check` says it, as it opens the engine. */
static void a_row_wider_than_a_stream_is_told(void **state)
{
    (void)state;
    static const char *const hooks[] = {"ffn_gate-0", "ffn_up-0"};
    struct tiny tiny = {.architecture = "llama", .layers = 2, .inner = ROW_MAX_WIDTH / 2 + 32};
    tiny_write(in_folder("wide.gguf"), &tiny);
    struct engine_options options = options_of(in_folder("wide.gguf"), hooks, 1);
    struct engine *e = NULL;
    if (engine_open(&options, &e) != ERR_OK) fail_msg("%s", err_text());
    assert_int_equal(engine_info(e)->width, ROW_MAX_WIDTH / 2 + 32);
    engine_close(e);
    options = options_of(in_folder("wide.gguf"), hooks, 2);
    assert_int_equal(engine_open(&options, &e), ERR_USAGE);
    print_message("%s\n", err_text());
    assert_non_null(strstr(err_text(), "131136 values"));
    assert_non_null(strstr(err_text(), "HINT: name fewer hooks"));
}

/* A setting that changes the corpus's hash changes a line that tells of it. */
static void settings_tell_what_the_hash_is_of(void **state)
{
    (void)state;
    static const char *const hooks[] = {"resid_post.1"};
    const char *model = tiny_model("llama", 3);
    struct engine_options o[7];
    static const char *const lines[] = {"context_tokens: 32\n", "context_tokens: 16\n",
                                        "text_field: body\n",   "document_separator: %%\n",
                                        "on_bad_text: fail\n",  "pack: false\n",
                                        "prepend_bos: false\n"};
    uint64_t first = 0;
    for (int i = 0; i < 7; i++) o[i] = options_of(model, hooks, 1);
    o[1].context_tokens = 16;
    o[2].text_field = "body";
    o[3].document_separator = "%%";
    o[4].on_bad_text = BAD_TEXT_FAIL;
    o[5].one_document = 1;
    o[6].prepend_bos = 0;
    for (int i = 0; i < 7; i++) {
        struct engine *e;
        if (engine_open(&o[i], &e) != ERR_OK) fail_msg("%d: %s", i, err_text());
        const struct engine_info *info = engine_info(e);
        if (!strstr(info->settings, lines[i])) fail_msg("%d: %s", i, info->settings);
        assert_non_null(strstr(info->settings, "corpus (how many files): 1\n"));
        if (i == 0) first = info->corpus_hash;
        if (i > 0) assert_true(info->corpus_hash != first);
        engine_close(e);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    engine_threads_passive(argv); /* another test may have the cores */
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, remove_folder)
    const struct CMUnitTest tests[] = {
        EACH(names_mean_points),
        EACH(two_names_of_one_point_are_refused),
        EACH(parts_of_layers_add_up),
        EACH(parallel_parts_add_up),
        EACH(a_module_is_before_the_norm_behind_it),
        EACH(what_is_not_there_is_told_with_what_is),
        EACH(a_row_wider_than_a_stream_is_told),
        EACH(settings_tell_what_the_hash_is_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
