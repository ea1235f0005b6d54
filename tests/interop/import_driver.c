/*
 * For test_imports.py: an SAE that somebody else saved, opened as whoever looks at it does.
 *
 *   import_driver FOLDER ROWS OUT
 *
 * ROWS: safetensors with `x` (rows, width). OUT: `out`, what they come out as, and `features`,
 * (rows, F), dense.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/safetensors.h"
#include "sae/cpu/pool.h"
#include "sae/import/import.h"

static void must(int result)
{
    if (result == ERR_OK) return;
    fprintf(stderr, "import_driver: %s: %s\n", err_str(result), err_text());
    exit(1);
}

static void *zeros(size_t count)
{
    void *block = calloc(count, sizeof(float));
    if (!block) must(err_set(ERR_NOMEM, "no memory for %zu values", count));
    return block;
}

int main(int argc, char **argv)
{
    struct pool *pool;
    struct model model;
    struct import_facts facts;
    struct safetensors *file;
    struct pairs pairs;
    if (argc != 4) return 2;
    must(pool_new(2, &pool));
    must(import_open(argv[1], pool, &model, &facts));
    must(safetensors_open(argv[2], &file));
    const struct safetensors_tensor *t = safetensors_find(file, "x");
    const struct sae_options *o = model.encoder->options;
    if (!t || t->dims != 2 || t->shape[1] != sae_in_width(o))
        must(err_set(ERR_FORMAT, "%s has no x of %u columns", argv[2], sae_in_width(o)));
    uint64_t rows = t->shape[0], in = t->shape[1], out_width = sae_out_width(o);
    float *given = zeros(rows * in), *x = zeros(rows * o->width), *out = zeros(rows * out_width),
          *features = zeros(rows * o->features);
    must(safetensors_to_f32(t, 0, rows * in, given));
    for (uint64_t r = 0; r < rows; r++) /* what is to come out stands behind it, and is not read */
        for (uint64_t i = 0; i < in; i++) x[r * o->width + i] = given[r * in + i];
    must(encoder_pairs(model.encoder, x, rows, &pairs));
    encoder_decode(model.encoder, x, &pairs, out);
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t i = pairs.start[r]; i < pairs.start[r + 1]; i++)
            features[r * o->features + pairs.feature[i]] = pairs.value[i];
    struct safetensors_tensor tensors[] = {
        {"out", SAFETENSORS_F32, 2, {rows, out_width}, out, rows * out_width * 4},
        {"features", SAFETENSORS_F32, 2, {rows, o->features}, features, rows * o->features * 4},
    };
    must(safetensors_write(argv[3], tensors, 2, NULL, 0));
    printf("%s %s\n", facts.layout, facts.hook_name);
    pairs_free(&pairs);
    model_close(&model);
    pool_free(pool);
    safetensors_close(file);
    free(given);
    free(x);
    free(out);
    free(features);
    return 0;
}
