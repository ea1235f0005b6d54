/*
 * What a wire's dtype costs the SAE that is trained on its rows: topk, F 4608, K 32, trained on the
 * same rows through each dtype, then measured on held-out rows that no dtype has touched.
 *
 *   bench_dtype FOLDER [PASSES]      rows of tests/interop/rows_driver; 2 passes
 *
 * The last eighth of the rows, whole contexts, is held out. Scale and mean are those of the float32
 * rows, as the descriptor has them. Dtypes with one seed share starting weights and batches; the
 * spread over seeds says how much of a difference is chance.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "proto/frame.h"
#include "proto/rows.h"
#include "sae/sae.h"
#include "tests/bench/real_rows.h"

enum { SEEDS = 3, BATCH = 4096, FEATURES = 4608, K = 32, THREADS = 2 };
enum { FRAME_PAYLOAD_BYTES = 256 * 1024 - 16 - 128 }; /* of a 256 KiB slab */

struct data {
    struct rows train, held_out; /* as captured */
    float scale, *mean;          /* (D), scaled */
    float *x;                    /* (train.count, D): through a dtype, scaled */
    float *held_out_x;           /* (held_out.count, D): scaled */
    uint32_t *order;             /* (train.count) */
};

static void must(int code)
{
    if (code == ERR_OK) return;
    fprintf(stderr, "bench_dtype: %s: %s\n", err_str(code), err_text());
    exit(1);
}

static void *need(size_t bytes)
{
    void *p = malloc(bytes);
    if (!p) must(err_set(ERR_NOMEM, "no memory"));
    return p;
}

/* Cut at a context's end, so that no held-out row has a neighbour in training. */
static void split(const struct rows *all, struct data *d)
{
    uint32_t cut = all->count - all->count / 8;
    while (cut < all->count && all->ids[cut].sequence == all->ids[cut - 1].sequence) cut++;
    if (cut < BATCH || cut == all->count) must(err_set(ERR_LIMIT, "too few rows"));
    d->train = d->held_out = *all;
    d->train.count = cut;
    d->held_out.count = all->count - cut;
    d->held_out.ids += cut;
    d->held_out.values += (size_t)cut * all->width;
}

static void measure_scale(struct data *d)
{
    const struct rows *r = &d->train;
    size_t values = (size_t)r->count * r->width;
    double square = 0;
    for (size_t i = 0; i < values; i++) square += (double)r->values[i] * r->values[i];
    d->scale = (float)sqrt((double)values / square);
    d->mean = need(r->width * sizeof *d->mean);
    for (uint32_t c = 0; c < r->width; c++) {
        double sum = 0;
        for (uint32_t i = 0; i < r->count; i++) sum += r->values[(size_t)i * r->width + c];
        d->mean[c] = (float)(sum / r->count) * d->scale;
    }
}

/* Rows as they come out of frames of this dtype, scaled. */
static void through(const struct rows *rows, uint8_t dtype, float scale, float *out)
{
    uint32_t most = frame_rows_within(FRAME_PAYLOAD_BYTES, rows->width, dtype);
    uint8_t *raw = need(frame_raw_bytes(most, rows->width, dtype));
    for (uint32_t first = 0; first < rows->count; first += most) {
        uint32_t n = rows->count - first < most ? rows->count - first : most;
        float *to = out + (size_t)first * rows->width;
        rows_to_raw(dtype, n, rows->width, rows->ids + first,
                    rows->values + (size_t)first * rows->width, raw);
        for (uint32_t i = 0; i < n; i++)
            rows_values(dtype, n, rows->width, raw, i, to + (size_t)i * rows->width);
    }
    for (size_t i = 0; i < (size_t)rows->count * rows->width; i++) out[i] *= scale;
    free(raw);
}

static void shuffle(uint32_t *order, uint32_t count, struct rng *rng)
{
    for (uint32_t i = 0; i < count; i++) order[i] = i;
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = (uint32_t)rng_below(rng, i), kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}

static void train(struct data *d, struct sae *sae, uint32_t passes, uint64_t seed)
{
    size_t width = d->train.width;
    float *batch = need(BATCH * width * sizeof *batch);
    struct rng rng;
    struct sae_step step;
    rng_seed(&rng, seed);
    for (uint32_t pass = 0; pass < passes; pass++) {
        shuffle(d->order, d->train.count, &rng);
        for (uint32_t first = 0; first + BATCH <= d->train.count; first += BATCH) {
            for (uint32_t i = 0; i < BATCH; i++)
                memcpy(batch + i * width, d->x + d->order[first + i] * width,
                       width * sizeof *batch);
            must(sae_train(sae, &(struct sae_batch){batch, NULL, BATCH}, &step));
        }
    }
    free(batch);
}

static double held_out_fve(struct data *d, uint32_t passes, uint64_t seed)
{
    struct sae_options o;
    struct sae_eval eval;
    struct sae *sae;
    sae_options_default(SAE_TOPK, &o);
    o.width = d->train.width;
    o.features = FEATURES;
    o.k = K;
    o.learning_rate = 1e-3;
    o.planned_steps = (uint64_t)passes * (d->train.count / BATCH);
    o.threads = THREADS;
    o.seed = seed;
    o.mean = d->mean;
    must(sae_new(&o, &sae));
    train(d, sae, passes, seed);
    must(sae_evaluate(sae, d->held_out_x, d->held_out.count, &eval));
    sae_free(sae);
    return eval.fve;
}

static void compare(struct data *d, uint32_t passes)
{
    static const struct {
        const char *name;
        uint8_t dtype;
    } dtypes[] = {{"f32", DTYPE_F32}, {"bf16", DTYPE_BF16}, {"int8", DTYPE_INT8}};
    double base[SEEDS];
    printf(
        "| dtype | held-out FVE | less than f32, mean | least | most |\n|---|---|---|---|---|\n");
    for (size_t t = 0; t < sizeof dtypes / sizeof dtypes[0]; t++) {
        double sum = 0, lost = 0, least = INFINITY, most = -INFINITY;
        through(&d->train, dtypes[t].dtype, d->scale, d->x);
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            double fve = held_out_fve(d, passes, seed + 1);
            if (t == 0) base[seed] = fve;
            double loss = base[seed] - fve;
            sum += fve / SEEDS;
            lost += loss / SEEDS;
            least = fmin(least, loss);
            most = fmax(most, loss);
        }
        printf("| %s | %.5f | %.5f | %.5f | %.5f |\n", dtypes[t].name, sum, lost, least, most);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    struct rows all;
    struct data d = {0};
    uint32_t passes = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 2;
    if (argc < 2 || argc > 3 || passes == 0) {
        fprintf(stderr, "usage: bench_dtype FOLDER [PASSES]\n");
        return 2;
    }
    must(real_rows_read(argv[1], &all));
    split(&all, &d);
    measure_scale(&d);
    d.x = need((size_t)d.train.count * all.width * sizeof *d.x);
    d.held_out_x = need((size_t)d.held_out.count * all.width * sizeof *d.held_out_x);
    d.order = need(d.train.count * sizeof *d.order);
    through(&d.held_out, DTYPE_F32, d.scale, d.held_out_x);
    printf("%u rows, %u times each, %u held out, %d seeds\n\n", d.train.count, passes,
           d.held_out.count, SEEDS);
    compare(&d, passes);
    free(d.order);
    free(d.held_out_x);
    free(d.x);
    free(d.mean);
    free(all.values);
    free(all.ids);
    return 0;
}
