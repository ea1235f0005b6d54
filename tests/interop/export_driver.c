/*
 * For test_exports.py: trains an SAE for a moment and writes into FOLDER what the peers are to load
 * and what they are to get.
 *
 *   export_driver KIND FOLDER [ROWS.f32]    KIND an architecture, transcoder-ACTIVATION,
 *                                           skip-transcoder-ACTIVATION,
 *                                           crosscoder-ACTIVATION, clt-ACTIVATION; rows (any number, 576) or made up
 *
 * For each layout that has the kind, FOLDER/saelens/..., FOLDER/sparsify/HOOK/...,
 * FOLDER/hooks/..., FOLDER/circuit-tracer/..., and FOLDER/saelens.py, ...: the lines that a user is told to load it with.
 * FOLDER/rows.safetensors: x and out, raw. A transcoder's hooks, before and after, have 288 values
 * each; a crosscoder's three 192; of a clt's three layers each 96 and 96.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fileio.h"
#include "base/rng.h"
#include "base/safetensors.h"
#include "sae/export/export.h"

enum { D = 576, F = 1152, K = 32, BATCH = 1024, STEPS = 40, MADE_ROWS = 4096, KEPT = 2048 };

static void must(int code)
{
    if (code == ERR_OK) return;
    fprintf(stderr, "export_driver: %s: %s\n", err_str(code), err_text());
    exit(1);
}

static void *need(void *p)
{
    if (!p) must(err_set(ERR_NOMEM, "no memory"));
    return p;
}

/* Rows with a mean much larger than what varies, as residual streams have; two of the dimensions
 * larger still. */
static float *make_rows(size_t *count)
{
    struct rng rng;
    float *x = need(malloc((size_t)MADE_ROWS * D * sizeof *x));
    float *mix = need(malloc((size_t)64 * D * sizeof *mix));
    rng_seed(&rng, 5);
    for (int i = 0; i < 64 * D; i++) mix[i] = (float)rng_normal(&rng);
    for (int r = 0; r < MADE_ROWS; r++) {
        for (int i = 0; i < D; i++)
            x[r * D + i] = (i == 7 ? 121.0f : i == 99 ? -95.0f : 2.0f) + (float)rng_normal(&rng);
        for (int a = 0; a < 6; a++) {
            const float *direction = mix + rng_below(&rng, 64) * D;
            float weight = (float)rng_unit(&rng) * 4;
            for (int i = 0; i < D; i++) x[r * D + i] += weight * direction[i];
        }
    }
    free(mix);
    *count = MADE_ROWS;
    return x;
}

static float *read_rows(const char *path, size_t *count)
{
    char *data;
    size_t bytes;
    must(file_read(path, (size_t)1 << 30, &data, &bytes));
    *count = bytes / (D * sizeof(float));
    return (float *)(void *)data;
}

/* s with E||s x||^2 = D, and the mean of s x. */
static void measure(const float *x, size_t count, float *scale, float *mean)
{
    double square = 0;
    for (size_t i = 0; i < count * D; i++) square += (double)x[i] * x[i];
    double s = sqrt(D / (square / (double)count));
    for (int i = 0; i < D; i++) {
        double sum = 0;
        for (size_t r = 0; r < count; r++) sum += x[r * D + (size_t)i];
        scale[i] = (float)s;
        mean[i] = (float)(s * sum / (double)count);
    }
}

/* What the name of a kind says; -1: there is none of that name. */
static int parse_kind(const char *kind, struct sae_options *o)
{
    int skip = strncmp(kind, "skip-", 5) == 0;
    const char *word = kind + (skip ? 5 : 0), *dash = strchr(word, '-');
    char name[32];
    snprintf(name, sizeof name, "%.*s", dash ? (int)(dash - word) : 31, word);
    int arch = sae_arch_by_name(name), activation = dash ? sae_arch_by_name(dash + 1) : arch;
    if (arch < 0 || activation < 0 || arch == SAE_COUNT) return -1;
    sae_options_default((enum sae_arch)arch, o);
    o->activation = (enum sae_arch)activation;
    o->skip = (uint32_t)skip;
    o->width = D;
    if (arch == SAE_TRANSCODER) o->width_in = D / 2;
    if (arch == SAE_CLT) o->width_in = D / 2;
    if (arch == SAE_CROSSCODER || arch == SAE_CLT) o->hooks = 3;
    return 0;
}

static struct sae *train(struct sae_options o, const float *scaled, size_t count, const float *mean)
{
    struct sae *sae;
    struct sae_step step;
    struct rng rng;
    float *batch = need(malloc((size_t)BATCH * D * sizeof *batch));
    o.features = F;
    o.k = sae_keeps_largest(&o) ? K : 0;
    o.learning_rate = 1e-3;
    if (o.arch == SAE_CLT) o.lambda = 0.1; /* at 10 it would say nothing yet */
    o.planned_steps = STEPS;
    o.batch_rows = BATCH;
    o.mean = mean;
    must(sae_new(&o, &sae));
    rng_seed(&rng, 1);
    for (int i = 0; i < STEPS; i++) {
        for (int r = 0; r < BATCH; r++)
            memcpy(batch + r * D, scaled + rng_below(&rng, count) * D, D * sizeof *batch);
        must(sae_train(sae, &(struct sae_batch){batch, NULL, BATCH}, &step));
    }
    free(batch);
    return sae;
}

static void write_rows(const char *folder, const float *x, const float *out, uint64_t rows,
                       uint64_t out_width)
{
    char path[4096];
    struct safetensors_tensor tensors[] = {
        {"x", SAFETENSORS_F32, 2, {rows, D}, x, rows * D * sizeof *x},
        {"out", SAFETENSORS_F32, 2, {rows, out_width}, out, rows * out_width * sizeof *out},
    };
    snprintf(path, sizeof path, "%s/rows.safetensors", folder);
    must(safetensors_write(path, tensors, 2, NULL, 0));
}

static void write_lines(const char *folder, const char *name, char *text)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.py", folder, name);
    must(file_replace(path, text, strlen(text)));
    free(text);
}

/* As the trainer tells of a run: numbers, nulls, lists and objects. */
static json_t *make_metadata(void)
{
    return need(json_pack("{s:s, s:I, s:f, s:n, s:[{s:s, s:f}], s:[], s:{s:f}}", "dataset_path",
                          "made/up", "training_tokens", (json_int_t)40960, "l0", 31.5, "fve",
                          "hooks", "name", "resid_post.15", "folded_scale", 0.25,
                          "training_changes", "training_settings", "lr", 1e-3));
}

static void write_exports(const struct sae *sae, const float *scale, const char *folder)
{
    json_t *metadata = make_metadata();
    const struct sae_options *o = sae_options(sae);
    static const char *const crossed[] = {"resid_post.14", "resid_post.15", "resid_post.16"};
    static const char *const layers[] = {"resid_mid.0",           "resid_mid.1",
                                         "resid_mid.2",           "blocks.0.hook_mlp_out",
                                         "blocks.1.hook_mlp_out", "blocks.2.hook_mlp_out"};
    struct export_options options = {.scale = scale,
                                     .model_name = "made-up",
                                     .hook_name = "resid_post.15",
                                     .hook_name_out = "ffn_out-15",
                                     .hook_names = o->arch == SAE_CLT ? layers : crossed,
                                     .context_tokens = 512,
                                     .metadata = metadata};
    char dir[4096], *lines;
    for (int i = 0; i < EXPORT_LAYOUTS; i++) {
        const struct export_layout *layout = &export_layouts[i];
        if (!layout->has(o)) continue;
        snprintf(dir, sizeof dir, "%s/%s", folder, layout->name);
        must(layout->write(sae_view(sae), &options, dir));
        if (layout->is_whole && !layout->is_whole(o, &options)) continue;
        must(layout->python(sae_view(sae), &options, dir, &lines));
        write_lines(folder, layout->name, lines);
    }
    json_decref(metadata);
}

int main(int argc, char **argv)
{
    struct sae_options o;
    if (argc < 3 || argc > 4 || parse_kind(argv[1], &o) != 0) {
        fprintf(stderr, "usage: export_driver KIND FOLDER [ROWS.f32]\n");
        return 2;
    }
    uint32_t out_width = sae_out_width(&o);
    size_t count;
    float scale[D], mean[D], *x = argc == 4 ? read_rows(argv[3], &count) : make_rows(&count);
    size_t kept = count < KEPT ? count : KEPT;
    float *scaled = need(malloc(count * D * sizeof *scaled));
    float *out = need(malloc(kept * D * sizeof *out));
    measure(x, count, scale, mean);
    for (size_t i = 0; i < count * D; i++) scaled[i] = x[i] * scale[i % D];
    struct sae *sae = train(o, scaled, count, mean);
    must(sae_forward(sae, scaled, kept, out, NULL));
    for (size_t i = 0; i < kept * out_width; i++) out[i] /= scale[D - out_width + i % out_width];
    write_exports(sae, scale, argv[2]);
    write_rows(argv[2], x, out, kept, out_width);
    sae_free(sae);
    free(scaled);
    free(out);
    free(x);
    return 0;
}
