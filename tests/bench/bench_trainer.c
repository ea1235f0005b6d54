/*
 * What a training step costs beside the one dense product that it cannot do without: the encoder's,
 * (B, D) x (D, F). Product and step take turns in one run; medians of both, and of their ratio.
 *
 *   bench_trainer [THREADS [FOLDER]]      2 threads; rows of tests/interop/rows_driver, or made up
 *
 * "product" is one call of BLAS with its own threads, as it comes; "in blocks" is the same product
 * by our pool, in blocks whose output stays in the cache. "float32" is the same step of another SAE
 * that is screened by float32 products (SLUICE_SCREEN=off), in turns with the first on the same
 * batches. AuxK has work only where features are dead: one case declares a third of them dead
 * before each step.
 */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "sae/dictionary.h"
#include "tests/bench/real_rows.h"

enum { B = 4096, MADE_WIDTH = 576, MADE_ROWS = 16384, WARM_STEPS = 4, PAIRS = 15 };

struct input {
    float *x, *mean; /* (rows, width), (width), scaled */
    size_t rows;
    uint32_t width;
};

static void must(int code)
{
    if (code == ERR_OK) return;
    fprintf(stderr, "bench_trainer: %s: %s\n", err_str(code), err_text());
    exit(1);
}

static void *need(void *p)
{
    if (!p) must(err_set(ERR_NOMEM, "no memory"));
    return p;
}

/* Sums of 20 of 2,000 directions about a mean that holds half of the second moment. */
static void make_rows(struct input *in)
{
    enum { DIRECTIONS = 2000, ACTIVE = 20 };
    struct rng rng;
    in->rows = MADE_ROWS;
    in->width = MADE_WIDTH;
    in->x = need(malloc((size_t)MADE_ROWS * MADE_WIDTH * sizeof *in->x));
    float *directions = need(malloc((size_t)DIRECTIONS * MADE_WIDTH * sizeof *directions));
    rng_seed(&rng, 1);
    for (int i = 0; i < DIRECTIONS * MADE_WIDTH; i++) directions[i] = (float)rng_normal(&rng);
    for (int r = 0; r < MADE_ROWS; r++) {
        float *row = in->x + (size_t)r * MADE_WIDTH;
        for (int i = 0; i < MADE_WIDTH; i++) row[i] = (float)(i % 5) * 2;
        for (int a = 0; a < ACTIVE; a++) {
            double u = rng_unit(&rng);
            const float *d = directions + (size_t)(u * u * DIRECTIONS) * MADE_WIDTH;
            float weight = 0.5f + (float)rng_unit(&rng);
            for (int i = 0; i < MADE_WIDTH; i++) row[i] += weight * d[i];
        }
    }
    free(directions);
}

static void read_rows(struct input *in, const char *folder)
{
    struct rows rows;
    must(real_rows_read(folder, &rows));
    if (rows.count == 0) must(err_set(ERR_FORMAT, "%s holds no row", folder));
    *in = (struct input){.x = rows.values, .rows = rows.count, .width = rows.width};
    free(rows.ids);
}

static void scale_rows(struct input *in)
{
    double square = 0;
    size_t values = in->rows * in->width;
    for (size_t i = 0; i < values; i++) square += (double)in->x[i] * in->x[i];
    float scale = (float)sqrt(in->width * (double)in->rows / square);
    in->mean = need(calloc(in->width, sizeof *in->mean));
    for (size_t i = 0; i < values; i++) {
        in->x[i] *= scale;
        in->mean[i % in->width] += in->x[i] / (float)in->rows;
    }
}

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, rising);
    return x[n / 2];
}

struct blocks {
    const struct dictionary *d;
    const float *x;
};

static void product_block(void *arg, uint32_t item, uint32_t thread)
{
    struct blocks *job = arg;
    const struct dictionary *d = job->d;
    for (uint32_t f = 0; f < d->e.features; f += BLOCK_FEATURES) {
        uint32_t m = d->e.features - f < BLOCK_FEATURES ? d->e.features - f : BLOCK_FEATURES;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, BLOCK_ROWS, (int)m, (int)d->e.width,
                    1.0f, job->x + (size_t)item * BLOCK_ROWS * d->e.width, (int)d->e.width,
                    d->e.w.w_enc + (size_t)f * d->e.width, (int)d->e.width, 0.0f,
                    d->e.scratch[thread].block, (int)m);
    }
}

static void draw_batch(const struct input *in, struct rng *rng, float *batch)
{
    for (int r = 0; r < B; r++)
        memcpy(batch + (size_t)r * in->width, in->x + rng_below(rng, in->rows) * in->width,
               in->width * sizeof *batch);
}

struct measured {
    double product[PAIRS], blocked[PAIRS], step[PAIRS], unscreened[PAIRS], ratio[PAIRS];
};

static double step_seconds(struct sae *sae, const float *batch, int dead_third)
{
    struct dictionary *d = sae->state;
    struct sae_step step;
    for (uint32_t f = 0; dead_third && f < d->e.features; f += 3)
        d->silent_rows[f] = sae->options.dead_window_rows;
    double begin = clock_seconds(CLOCK_MONOTONIC);
    must(sae_train(sae, &(struct sae_batch){batch, NULL, B}, &step));
    return clock_seconds(CLOCK_MONOTONIC) - begin;
}

static void measure(const struct input *in, struct sae *sae, struct sae *unscreened,
                    uint32_t threads, int dead_third, struct measured *m)
{
    struct dictionary *d = sae->state;
    struct rng rng;
    float *batch = need(malloc((size_t)B * in->width * sizeof *batch));
    float *out = need(malloc((size_t)B * d->e.features * sizeof *out));
    memset(out, 0, (size_t)B * d->e.features * sizeof *out);
    rng_seed(&rng, 2);
    for (int i = -WARM_STEPS; i < PAIRS; i++) {
        draw_batch(in, &rng, batch);
        openblas_set_num_threads((int)threads);
        double begin = clock_seconds(CLOCK_MONOTONIC);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, B, (int)d->e.features, (int)d->e.width,
                    1.0f, batch, (int)d->e.width, d->e.w.w_enc, (int)d->e.width, 0.0f, out,
                    (int)d->e.features);
        double product = clock_seconds(CLOCK_MONOTONIC) - begin;
        openblas_set_num_threads(1);
        begin = clock_seconds(CLOCK_MONOTONIC);
        pool_run(d->e.pool, product_block, &(struct blocks){d, batch}, B / BLOCK_ROWS);
        double blocked = clock_seconds(CLOCK_MONOTONIC) - begin;
        double whole = step_seconds(sae, batch, dead_third);
        double without = step_seconds(unscreened, batch, dead_third);
        if (i < 0) continue;
        m->product[i] = product;
        m->blocked[i] = blocked;
        m->step[i] = whole;
        m->unscreened[i] = without;
        m->ratio[i] = product / whole;
    }
    free(batch);
    free(out);
}

static void bench(const struct input *in, const char *name, enum sae_arch arch, uint32_t features,
                  uint32_t threads, int dead_third)
{
    struct sae_options o;
    struct sae *sae, *unscreened;
    struct measured m;
    uint64_t bytes;
    sae_options_default(arch, &o);
    o.width = in->width;
    o.features = features;
    o.k = sae_arch_keeps_largest(arch) ? 32 : 0;
    o.threads = threads;
    o.mean = in->mean;
    must(sae_new(&o, &sae));
    must(sae_bytes(&o, &bytes));
    setenv("SLUICE_SCREEN", "off", 1);
    must(sae_new(&o, &unscreened));
    unsetenv("SLUICE_SCREEN");
    measure(in, sae, unscreened, threads, dead_third, &m);
    double product = median(m.product, PAIRS), blocked = median(m.blocked, PAIRS);
    double step = median(m.step, PAIRS), operations = 2.0 * B * in->width * features;
    printf("| %s | %u | %.1f | %.0f | %.1f | %.1f | %.1f | %.2f | %.0f | %.0f |\n", name, features,
           product * 1e3, operations / product / 1e9, blocked * 1e3,
           median(m.unscreened, PAIRS) * 1e3, step * 1e3, median(m.ratio, PAIRS), B / step,
           (double)bytes / 1e6);
    fflush(stdout);
    sae_free(sae);
    sae_free(unscreened);
}

int main(int argc, char **argv)
{
    sae_blas_wide(argv);
    struct input in = {0};
    uint32_t threads = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 2;
    if (argc > 3 || threads == 0) {
        fprintf(stderr, "usage: bench_trainer [THREADS [FOLDER]]\n");
        return 2;
    }
    if (argc == 3)
        read_rows(&in, argv[2]);
    else
        make_rows(&in);
    scale_rows(&in);
    printf("%s rows of width %u, batches of %d, K 32, %u threads, kernels %s, screened by %s, BLAS "
           "%s\n\n",
           argc == 3 ? "real" : "made-up", in.width, B, threads, kernels_best()->name,
           screen_best() ? screen_best()->name : "float32", openblas_get_corename());
    printf(
        "| step | F | product ms | GFLOPS | in blocks ms | float32 ms | step ms | product/step | "
        "rows/s | MB |\n|---|---|---|---|---|---|---|---|---|---|\n");
    for (uint32_t features = 4608; features <= 18432; features *= 4) {
        bench(&in, "topk", SAE_TOPK, features, threads, 0);
        bench(&in, "topk, a third dead", SAE_TOPK, features, threads, 1);
        bench(&in, "batchtopk", SAE_BATCHTOPK, features, threads, 0);
        bench(&in, "matryoshka", SAE_MATRYOSHKA, features, threads, 0);
    }
    bench(&in, "l1, dense start", SAE_L1, 4608, threads, 0);
    free(in.x);
    free(in.mean);
    return 0;
}
