/* The files of circuit-tracer: shapes, names and values, and what is refused. Whether its loader
 * takes them, tests/interop says. */
#include "helper.h"

#include "base/fileio.h"
#include "base/safetensors.h"
#include "sae/export/fold.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LAYERS = 3, D = 4, EACH = 6, F = LAYERS * EACH, WIDTH = 2 * LAYERS * D };

static char dir[] = "/tmp/sluice-tracer-XXXXXX";
static const char *const names[] = {"resid_mid.0", "blocks.1.hook_resid_mid", "resid_mid.2",
                                    "mlp_out.0",   "blocks.1.hook_mlp_out",   "mlp_out.2"};
static float scale[WIDTH];

/* Weights all different; of a clt none before a feature's layer. */
static struct sae *made(struct sae_options *o)
{
    struct sae *sae;
    o->threads = 1;
    o->features = F;
    o->k = 2;
    assert_int_equal(sae_new(o, &sae), ERR_OK);
    struct sae_parameters p = sae_parameters(sae);
    float *w_enc = (float *)p.w_enc, *w_dec = (float *)p.w_dec, *b_dec = (float *)p.b_dec;
    uint32_t in = sae_in_width(o), out = sae_out_width(o), part = out / sae_layers(o);
    for (uint32_t i = 0; i < F * in; i++) w_enc[i] = 1 + 0.01f * (float)i;
    for (uint32_t i = 0; i < F * out; i++) {
        uint32_t layer = i / out / (F / sae_layers(o));
        w_dec[i] = i % out / part >= layer ? 2 + 0.01f * (float)i : 0;
    }
    for (uint32_t i = 0; i < out; i++) b_dec[i] = (float)i;
    for (uint32_t i = 0; p.threshold && i < F; i++)
        ((float *)p.threshold)[i] = 0.1f + 0.1f * (float)i;
    for (uint32_t i = 0; i < WIDTH; i++) scale[i] = i < WIDTH / 2 ? 0.5f : 0.25f;
    return sae;
}

static struct sae_options clt(void)
{
    struct sae_options o;
    sae_options_default(SAE_CLT, &o);
    o.activation = SAE_BATCHTOPK;
    o.hooks = LAYERS;
    o.width = WIDTH;
    o.width_in = LAYERS * D;
    return o;
}

static struct sae_options transcoder(enum sae_arch activation, int skip)
{
    struct sae_options o;
    sae_options_default(SAE_TRANSCODER, &o);
    o.activation = activation;
    o.width = 2 * D;
    o.width_in = D;
    o.skip = (uint32_t)skip;
    return o;
}

static struct safetensors *opened(const char *name)
{
    char path[128];
    struct safetensors *file;
    snprintf(path, sizeof path, "%s/x/%s.safetensors", dir, name);
    if (safetensors_open(path, &file) != ERR_OK) fail_msg("%s", err_text());
    return file;
}

static void holds(const struct safetensors *file, const char *name, uint64_t a, uint64_t b,
                  uint64_t c, const float *values)
{
    const struct safetensors_tensor *t = safetensors_find(file, name);
    const uint64_t shape[] = {a, b, c};
    if (!t) fail_msg("there is no %s", name);
    uint64_t count = safetensors_values(t);
    float *read = malloc(count * sizeof *read);
    assert_int_equal(t->dims, b == 0 ? 1 : c == 0 ? 2 : 3);
    for (uint32_t i = 0; i < t->dims; i++) assert_int_equal(t->shape[i], shape[i]);
    assert_int_equal(safetensors_to_f32(t, 0, count, read), ERR_OK);
    for (uint64_t i = 0; i < count; i++)
        if (read[i] != values[i]) fail_msg("%s: value %d is %g", name, (int)i, (double)read[i]);
    free(read);
}

static void a_clt_has_two_files_per_layer(void **state)
{
    (void)state;
    struct sae_options o = clt();
    struct sae *sae = made(&o);
    struct folded w;
    struct export_options options = {.scale = scale, .hook_names = names, .model_name = "a \"b\""};
    char place[64], name[32], *text;
    size_t bytes;
    snprintf(place, sizeof place, "%s/x", dir);
    assert_int_equal(export_circuit_tracer(sae_view(sae), &options, place), ERR_OK);
    assert_int_equal(fold_weights(sae_view(sae), &options, &w), ERR_OK);
    for (uint32_t l = 0; l < LAYERS; l++) {
        float own[EACH * LAYERS * D];
        snprintf(name, sizeof name, "W_enc_%u", l);
        struct safetensors *file = opened(name);
        assert_int_equal(safetensors_count(file), 4);
        holds(file, name, EACH, D, 0, w.w_enc + l * EACH * D);
        snprintf(name, sizeof name, "b_enc_%u", l);
        holds(file, name, EACH, 0, 0, w.b_enc + l * EACH);
        snprintf(name, sizeof name, "b_dec_%u", l);
        holds(file, name, D, 0, 0, w.b_dec + l * D);
        snprintf(name, sizeof name, "threshold_%u", l);
        holds(file, name, EACH, 0, 0, w.threshold + l * EACH);
        safetensors_close(file);
        snprintf(name, sizeof name, "W_dec_%u", l);
        file = opened(name);
        uint32_t writes = (LAYERS - l) * D;
        for (uint32_t i = 0; i < EACH * writes; i++)
            own[i] = w.w_dec[(l * EACH + i / writes) * LAYERS * D + l * D + i % writes];
        assert_true(own[0] != 0);
        holds(file, name, EACH, LAYERS - l, D, own);
        safetensors_close(file);
    }
    snprintf(place, sizeof place, "%s/x/config.yaml", dir);
    assert_int_equal(file_read(place, 4096, &text, &bytes), ERR_OK);
    assert_string_equal(text, "model_kind: \"cross_layer_transcoder\"\n"
                              "model_name: \"a \\\"b\\\"\"\n"
                              "feature_input_hook: \"hook_resid_mid\"\n"
                              "feature_output_hook: \"hook_mlp_out\"\n"
                              "scan: null\n");
    free(text);
    fold_free(&w);
    sae_free(sae);
}

static void a_transcoder_is_a_file_of_its_layer(void **state)
{
    (void)state;
    for (int skip = 0; skip < 2; skip++)
        for (int l1 = 0; l1 < 2; l1++) {
            struct sae_options o = transcoder(l1 ? SAE_L1 : SAE_BATCHTOPK, skip);
            struct sae *sae = made(&o);
            struct folded w;
            char place[64];
            struct export_options options = {
                .scale = scale, .hook_name = "ffn_norm-7", .hook_name_out = "ffn_out-7"};
            snprintf(place, sizeof place, "%s/x", dir);
            assert_int_equal(export_circuit_tracer(sae_view(sae), &options, place), ERR_OK);
            assert_int_equal(fold_weights(sae_view(sae), &options, &w), ERR_OK);
            struct safetensors *file = opened("layer_7");
            assert_int_equal(safetensors_count(file), (size_t)(4 + skip + !l1));
            holds(file, "W_enc", F, D, 0, w.w_enc);
            holds(file, "W_dec", F, D, 0, w.w_dec);
            holds(file, "b_enc", F, 0, 0, w.b_enc);
            holds(file, "b_dec", D, 0, 0, w.b_dec);
            if (!l1) holds(file, "activation_function.threshold", F, 0, 0, w.threshold);
            if (skip) holds(file, "W_skip", D, D, 0, w.w_skip);
            safetensors_close(file);
            fold_free(&w);
            sae_free(sae);
        }
}

static void refuses(struct sae_options o, const struct export_options *options, int code,
                    const char *words)
{
    struct sae *sae = made(&o);
    char place[64];
    snprintf(place, sizeof place, "%s/no", dir);
    int result = export_circuit_tracer(sae_view(sae), options, place);
    if (result != code || !strstr(err_text(), words))
        fail_msg("code %d, and '%s' is not in: %s", result, words, err_text());
    assert_int_not_equal(access(place, F_OK), 0);
    sae_free(sae);
}

static void what_it_would_misread_is_refused(void **state)
{
    (void)state;
    const char *later[] = {names[1], names[2], "resid_mid.3", names[4], names[5], "mlp_out.3"};
    const char *mixed[] = {names[0], names[1], names[2], names[3], names[4], "attn_out.2"};
    const char *crossed[] = {names[0], names[1], names[2], names[4], names[3], names[5]};
    struct sae_options o = clt();
    refuses(o, &(struct export_options){.hook_names = later}, ERR_USAGE, "from 0 on");
    refuses(o, &(struct export_options){.hook_names = mixed}, ERR_USAGE, "the same hooks");
    refuses(o, &(struct export_options){.hook_names = crossed}, ERR_USAGE, "different layers");
    refuses(o, &(struct export_options){0}, ERR_USAGE, "do not name layers");
    o.width_in -= LAYERS;
    o.width -= LAYERS;
    refuses(o, &(struct export_options){.hook_names = names}, ERR_STATE, "of two widths");
    struct export_options one = {.hook_name = "a", .hook_name_out = "mlp_out.0"};
    refuses(transcoder(SAE_L1, 0), &one, ERR_USAGE, "a and mlp_out.0 do not name layers");
    one.hook_name = "resid_mid.0";
    refuses(transcoder(SAE_TOPK, 0), &one, ERR_STATE, "no place for a transcoder of topk");
    sae_options_default(SAE_TOPK, &o);
    o.width = D;
    refuses(o, &one, ERR_STATE, "no place for a topk");
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clt_has_two_files_per_layer),
        cmocka_unit_test(a_transcoder_is_a_file_of_its_layer),
        cmocka_unit_test(what_it_would_misread_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
