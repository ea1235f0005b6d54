/* Exports against the trainer's own reconstructions, by plain arithmetic on what was written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/fileio.h"
#include "base/safetensors.h"
#include "sae/dictionary.h"
#include "sae/export/export.h"

#include "helper.h"

enum { D = 14, F = 40, ROWS = 200, K = 5 };

static char folder[64];
static float raw[ROWS * D], scale[D], scaled[ROWS * D], out[ROWS * D], acts[ROWS * F];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/sluice-export-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return dir_remove(folder);
}

/* An SAE trained for a moment on raw rows times scale; two hooks with constants of their own. */
static struct sae *trained(enum sae_arch arch, int two_hooks)
{
    struct sae_options o;
    struct sae *sae;
    struct sae_step step;
    struct rng rng;
    rng_seed(&rng, 3);
    for (int i = 0; i < D; i++) scale[i] = two_hooks && i >= D / 2 ? 0.01f : 0.25f;
    for (int i = 0; i < ROWS * D; i++) {
        raw[i] = ((float)rng_normal(&rng) + 2) / scale[i % D];
        scaled[i] = raw[i] * scale[i % D];
    }
    sae_options_default(arch, &o);
    o.width = D;
    o.features = F;
    o.k = K; /* which the others have no use for */
    o.learning_rate = 1e-2;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    for (int i = 0; i < 30; i++)
        assert_int_equal(sae_train(sae, &(struct sae_batch){scaled, NULL, ROWS}, &step), ERR_OK);
    assert_int_equal(sae_forward(sae, scaled, ROWS, out, acts), ERR_OK);
    return sae;
}

static void read_tensor(const char *path, const char *name, float *values, uint64_t count)
{
    struct safetensors *file;
    assert_int_equal(safetensors_open(path, &file), ERR_OK);
    const struct safetensors_tensor *t = safetensors_find(file, name);
    assert_non_null(t);
    assert_int_equal(safetensors_values(t), count);
    assert_int_equal(safetensors_to_f32(t, 0, count, values), ERR_OK);
    safetensors_close(file);
}

static size_t tensors_of(const char *path)
{
    struct safetensors *file;
    assert_int_equal(safetensors_open(path, &file), ERR_OK);
    size_t count = safetensors_count(file);
    safetensors_close(file);
    return count;
}

static json_t *read_json(const char *path)
{
    char *text;
    size_t bytes;
    assert_int_equal(file_read(path, 100000, &text, &bytes), ERR_OK);
    json_t *object = json_loads(text, 0, NULL);
    assert_non_null(object);
    free(text);
    return object;
}

/* x' of raw rows by exported weights, against `out` divided by the scale. w_enc (F, D). */
static void check_reconstruction(const float *w_enc, const float *b_enc, const float *w_dec,
                                 const float *b_dec, const float *threshold, int subtract, int k,
                                 const float *r_mag, const float *b_mag)
{
    for (int r = 0; r < ROWS; r++) {
        double pre[F], square = 0, error = 0;
        for (int f = 0; f < F; f++) {
            pre[f] = b_enc[f];
            for (int i = 0; i < D; i++)
                pre[f] += w_enc[f * D + i] * ((double)raw[r * D + i] - (subtract ? b_dec[i] : 0));
        }
        for (int i = 0; i < D; i++) {
            double y = b_dec[i];
            for (int f = 0; f < F; f++) {
                int larger = 0;
                for (int o = 0; o < F; o++) larger += pre[o] > pre[f];
                double value = b_mag ? exp(r_mag[f]) * (pre[f] - b_enc[f]) + b_mag[f] : pre[f];
                if (pre[f] > threshold[f] && value > 0 && (k == 0 || larger < k))
                    y += value * w_dec[f * D + i];
            }
            double wanted = out[r * D + i] / scale[i];
            square += wanted * wanted;
            error += (wanted - y) * (wanted - y);
        }
        assert_true(sqrt(error) <= 1e-5 * sqrt(square));
    }
}

static void check_saelens(enum sae_arch arch, int two_hooks)
{
    struct sae *sae = trained(arch, two_hooks);
    struct export_options options = {
        .scale = scale, .model_name = "smol", .hook_name = "resid_post.15", .context_tokens = 512};
    char dir[128], path[256];
    static float w_enc[F * D], w_enc_t[D * F], w_dec[F * D], b_enc[F], b_dec[D], threshold[F],
        r_mag[F], b_mag[F];
    int jumps = arch == SAE_BATCHTOPK || arch == SAE_MATRYOSHKA || arch == SAE_JUMPRELU;
    int alone = arch == SAE_L1 || arch == SAE_JUMPRELU || arch == SAE_GATED;
    int gates = arch == SAE_GATED;
    snprintf(dir, sizeof dir, "%s/a/b", folder);
    assert_int_equal(export_saelens(sae_view(sae), &options, dir), ERR_OK);
    snprintf(path, sizeof path, "%s/sae_weights.safetensors", dir);
    assert_int_equal(tensors_of(path), 4 + jumps + 2 * gates);
    memset(threshold, 0, sizeof threshold);
    if (gates) {
        read_tensor(path, "r_mag", r_mag, F);
        read_tensor(path, "b_mag", b_mag, F);
    }
    if (jumps) {
        read_tensor(path, "threshold", threshold, F);
        assert_true(threshold[0] > 0);
    }
    read_tensor(path, "W_enc", w_enc_t, F * D);
    read_tensor(path, "W_dec", w_dec, F * D);
    read_tensor(path, gates ? "b_gate" : "b_enc", b_enc, F);
    read_tensor(path, "b_dec", b_dec, D);
    for (int f = 0; f < F; f++)
        for (int i = 0; i < D; i++) w_enc[f * D + i] = w_enc_t[i * F + f];
    check_reconstruction(w_enc, b_enc, w_dec, b_dec, threshold, !alone || gates,
                         arch == SAE_TOPK ? K : 0, r_mag, gates ? b_mag : NULL);
    for (int f = 0; f < F && !(two_hooks && !alone); f++) { /* norms are folded */
        double square = 0;
        for (int i = 0; i < D; i++) square += pow(w_dec[f * D + i], 2);
        assert_true(fabs(sqrt(square) - 1) < 1e-4);
    }
    snprintf(path, sizeof path, "%s/cfg.json", dir);
    json_t *cfg = read_json(path);
    assert_string_equal(json_string_value(json_object_get(cfg, "architecture")),
                        gates              ? "gated"
                        : jumps            ? "jumprelu"
                        : arch == SAE_TOPK ? "topk"
                                           : "standard");
    assert_int_equal(json_integer_value(json_object_get(cfg, "d_sae")), F);
    assert_int_equal(json_integer_value(json_object_get(cfg, "k")), arch == SAE_TOPK ? K : 0);
    json_t *metadata = json_object_get(cfg, "metadata");
    assert_string_equal(json_string_value(json_object_get(metadata, "hook_name")),
                        "blocks.15.hook_resid_post");
    json_decref(cfg);
    sae_free(sae);
}

static void saelens_gets_raw_weights(void **state)
{
    (void)state;
    check_saelens(SAE_TOPK, 0);
    check_saelens(SAE_TOPK, 1);
    check_saelens(SAE_L1, 0);
    check_saelens(SAE_L1, 1);
    check_saelens(SAE_BATCHTOPK, 0);
    check_saelens(SAE_BATCHTOPK, 1);
    check_saelens(SAE_MATRYOSHKA, 0);
    check_saelens(SAE_JUMPRELU, 0);
    check_saelens(SAE_JUMPRELU, 1);
    check_saelens(SAE_GATED, 0);
    check_saelens(SAE_GATED, 1);
}

static void sparsify_gets_raw_weights(void **state)
{
    (void)state;
    struct sae *sae = trained(SAE_TOPK, 1);
    struct export_options options = {
        .scale = scale, .hook_name = "resid_post.15", .context_tokens = 512};
    char path[256];
    static float w_enc[F * D], w_dec[F * D], b_enc[F], b_dec[D], zeros[F];
    assert_int_equal(export_sparsify(sae_view(sae), &options, folder), ERR_OK);
    snprintf(path, sizeof path, "%s/layers.15/sae.safetensors", folder);
    read_tensor(path, "encoder.weight", w_enc, F * D);
    read_tensor(path, "encoder.bias", b_enc, F);
    read_tensor(path, "W_dec", w_dec, F * D);
    read_tensor(path, "b_dec", b_dec, D);
    assert_int_equal(tensors_of(path), 4);
    check_reconstruction(w_enc, b_enc, w_dec, b_dec, zeros, 1, K, NULL, NULL);
    snprintf(path, sizeof path, "%s/layers.15/cfg.json", folder);
    json_t *cfg = read_json(path);
    assert_int_equal(json_integer_value(json_object_get(cfg, "num_latents")), F);
    assert_int_equal(json_integer_value(json_object_get(cfg, "k")), K);
    assert_int_equal(json_integer_value(json_object_get(cfg, "d_in")), D);
    json_decref(cfg);
    sae_free(sae);
}

static void told_in(const char *file, const char *model)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    json_t *cfg = read_json(path), *metadata = json_object_get(cfg, "metadata");
    assert_non_null(json_object_get(metadata, "dataset_path"));
    assert_string_equal(json_string_value(json_object_get(metadata, "dataset_path")), "books");
    assert_int_equal(json_integer_value(json_object_get(metadata, "training_tokens")), 7);
    assert_true(json_is_null(json_object_get(metadata, "fve")));
    const json_t *name = json_object_get(metadata, "model_name");
    assert_string_equal(json_string_value(name ? name : json_object_get(cfg, "model_name")), model);
    json_decref(cfg);
}

/* What else is told comes into each layout, and never in place of what a loader reads. */
static void metadata_goes_into_every_layout(void **state)
{
    (void)state;
    struct sae *sae = trained(SAE_TOPK, 0);
    json_t *told =
        json_pack("{s:s, s:i, s:n, s:s, s:s}", "dataset_path", "books", "training_tokens", 7, "fve",
                  "hook_name", "another", "sae_lens_version", "1.0");
    struct export_options options = {
        .model_name = "smol", .hook_name = "model.layers.15", .metadata = told};
    assert_int_equal(export_saelens(sae_view(sae), &options, folder), ERR_OK);
    told_in("cfg.json", "smol");
    char path[256];
    snprintf(path, sizeof path, "%s/cfg.json", folder);
    json_t *cfg = read_json(path), *metadata = json_object_get(cfg, "metadata");
    assert_string_equal(json_string_value(json_object_get(metadata, "hook_name")),
                        "blocks.15.hook_resid_post");
    assert_string_equal(json_string_value(json_object_get(metadata, "sae_lens_version")), "6.0.0");
    json_decref(cfg);
    assert_int_equal(export_sparsify(sae_view(sae), &options, folder), ERR_OK);
    told_in("layers.15/cfg.json", "smol");
    sae_free(sae);
    struct sae_options o;
    sae_options_default(SAE_TRANSCODER, &o);
    o.width = D;
    o.width_in = D / 2;
    o.features = F;
    o.k = K;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    assert_int_equal(export_hooks(sae_view(sae), &options, folder), ERR_OK);
    told_in("cfg.json", "smol");
    sae_free(sae);
    json_decref(told);
}

static void what_has_no_layout_is_refused(void **state)
{
    (void)state;
    struct export_options options = {0};
    struct sae_options o;
    struct sae *sae = trained(SAE_L1, 0);
    assert_int_equal(export_sparsify(sae_view(sae), &options, folder), ERR_STATE);
    sae_free(sae);
    sae_options_default(SAE_COUNT, &o);
    o.width = D;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    assert_int_equal(export_saelens(sae_view(sae), &options, folder), ERR_STATE);
    sae_free(sae);
}

static void the_python_names_the_folder(void **state)
{
    (void)state;
    struct export_options options = {.hook_name = "resid_post.3"};
    struct sae_view no_sae = {0};
    char *text;
    assert_int_equal(export_saelens_python(no_sae, &options, "/a \"b\"", &text), ERR_OK);
    assert_non_null(strstr(text, "SAE.load_from_disk(\"/a \\\"b\\\"\")"));
    free(text);
    assert_int_equal(export_sparsify_python(no_sae, &options, "/a", &text), ERR_OK);
    assert_non_null(strstr(text, "load_from_disk(\"/a/layers.3\")"));
    free(text);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(saelens_gets_raw_weights),        TEST(sparsify_gets_raw_weights),
        TEST(metadata_goes_into_every_layout), TEST(what_has_no_layout_is_refused),
        TEST(the_python_names_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
