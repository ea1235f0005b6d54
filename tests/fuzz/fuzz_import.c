/*
 * Any bytes as a folder that holds an SAE: refused, or it encodes rows, and what comes out lies in
 * bounds. An input is a byte (which layout's file), two bytes (how many of the rest are cfg.json),
 * cfg.json, and the tensors.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "sae/cpu/pool.h"
#include "sae/import/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { ROWS = 3 };

static void put(const char *path, const uint8_t *data, size_t bytes)
{
    FILE *file = fopen(path, "w");
    if (!file || (bytes && fwrite(data, 1, bytes, file) != bytes) || fclose(file) != 0) abort();
}

static void use(struct model *m)
{
    const struct sae_options *o = m->encoder->options;
    uint32_t width = sae_out_width(o);
    float *x = malloc((size_t)ROWS * o->width * sizeof *x);
    float *out = malloc((size_t)ROWS * width * sizeof *out);
    struct pairs pairs;
    if (!x || !out) abort();
    for (size_t i = 0; i < (size_t)ROWS * o->width; i++) x[i] = (float)(i % 7) - 2;
    if (encoder_pairs(m->encoder, x, ROWS, &pairs) != ERR_OK) abort();
    if (pairs.rows != ROWS || pairs.start[0] != 0 || pairs.start[ROWS] != pairs.count) abort();
    for (uint32_t r = 0; r < ROWS; r++)
        for (uint64_t i = pairs.start[r]; i < pairs.start[r + 1]; i++) {
            if (pairs.feature[i] >= o->features) abort();
            if (i > pairs.start[r] && pairs.feature[i] <= pairs.feature[i - 1]) abort();
        }
    encoder_decode(m->encoder, x, &pairs, out);
    pairs_free(&pairs);
    free(x);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char *const files[] = {"sae_weights.safetensors", "sae.safetensors",
                                        "weights.safetensors"};
    static struct pool *pool;
    char folder[64], cfg[96], weights[96];
    struct model model;
    struct import_facts facts;
    if (bytes < 3) return 0;
    if (!pool && pool_new(1, &pool) != ERR_OK) abort();
    size_t cfg_bytes = data[1] | (size_t)data[2] << 8;
    if (cfg_bytes > bytes - 3) cfg_bytes = bytes - 3;
    snprintf(folder, sizeof folder, "/dev/shm/sluice-fuzz-%ld", (long)getpid());
    snprintf(cfg, sizeof cfg, "%s/cfg.json", folder);
    snprintf(weights, sizeof weights, "%s/%s", folder, files[data[0] % 3]);
    mkdir(folder, 0700);
    put(cfg, data + 3, cfg_bytes);
    put(weights, data + 3 + cfg_bytes, bytes - 3 - cfg_bytes);
    int result = import_open(folder, pool, &model, &facts);
    if (result == ERR_OK) {
        use(&model);
        model_close(&model);
    } else if (!err_text()[0]) {
        abort();
    }
    unlink(cfg);
    unlink(weights);
    rmdir(folder);
    return 0;
}
