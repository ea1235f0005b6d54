/*
 * Our trainer on a file of rows, one or several SAEs at once, for tests/bench/peers: what a step
 * takes, and what was learned by then.
 *
 *   bench_learn FOLDER BATCH THREADS STEPS EVERY OUT [product=1] SAE...
 *
 * FOLDER/rows: float32 (rows, D), scaled; FOLDER/mean: float32 (D), where b_dec starts;
 * FOLDER/order: uint32, which row comes when, taken up again from its start when it ends. SAE is a
 * comma-separated list of arch=, features=, k=, target=, rate=, lambda=, levels=, aux=, decay=, warmup=,
 * decoder=, seed=, plan=; what is not given is the architecture's recipe, and the plan is STEPS.
 *
 * A line of JSON a step: {"seconds": of all SAEs' steps, without the gathering of the batch, "l0",
 * "fve", "dead": of each SAE on this batch}. After each EVERY steps (0: only after the last) SAE i
 * is exported in SAELens's layout to OUT/i/STEP; OUT "-" exports nothing. With product=1 a line
 * also tells what one call of BLAS takes for the first SAE's encoder, (B, D) x (D, F), in turns.
 */
#include <cblas.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "sae/cpu/pool.h"
#include "sae/export/export.h"
#include "sae/sae.h"

enum { MAX_SAES = 64 };

struct given { /* mapped, so that rows don't count as the trainer's memory */
    const float *rows, *mean;
    const uint32_t *order;
    size_t ordered;
    uint32_t width;
};

struct run {
    struct given given;
    uint32_t batch, threads, saes;
    uint64_t steps, every;
    const char *out;
    int product;
    struct sae *sae[MAX_SAES];
    float *x;     /* (batch, D) */
    float *dense; /* (batch, F of the first), with product=1 */
};

static void must(int code)
{
    if (code == ERR_OK) return;
    fprintf(stderr, "bench_learn: %s: %s\n", err_str(code), err_text());
    exit(1);
}

static const void *map(const char *folder, const char *name, size_t *bytes)
{
    char path[4096];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &info)) must(err_set(ERR_IO, "cannot read %s", path));
    void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, file, 0);
    if (data == MAP_FAILED) must(err_set(ERR_IO, "cannot map %s", path));
    close(file);
    *bytes = (size_t)info.st_size;
    return data;
}

static struct given open_given(const char *folder)
{
    struct given g;
    size_t bytes, row_bytes, order_bytes;
    g.mean = map(folder, "mean", &row_bytes);
    g.rows = map(folder, "rows", &bytes);
    g.order = map(folder, "order", &order_bytes);
    g.width = (uint32_t)(row_bytes / sizeof(float));
    g.ordered = order_bytes / sizeof *g.order;
    for (size_t i = 0; i < g.ordered; i++)
        if (g.order[i] >= bytes / row_bytes)
            must(err_set(ERR_FORMAT, "order: row %u of %zu", g.order[i], bytes / row_bytes));
    return g;
}

static void set_option(struct sae_options *o, const char *key, double value)
{
    const struct {
        const char *key;
        uint32_t *whole;
        double *real;
    } options[] = {{"features", &o->features, NULL},   {"k", &o->k, NULL},
                   {"levels", &o->levels, NULL},       {"rate", NULL, &o->learning_rate},
                   {"lambda", NULL, &o->lambda},       {"target", NULL, &o->target_l0},
                   {"aux", NULL, &o->aux_coefficient}, {"decay", NULL, &o->decay},
                   {"warmup", NULL, &o->warmup},       {"decoder", NULL, &o->decoder_lr_factor}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(options[i].key, key) != 0) continue;
        if (options[i].whole) *options[i].whole = (uint32_t)value;
        if (options[i].real) *options[i].real = value;
        return;
    }
    if (strcmp(key, "seed") == 0)
        o->seed = (uint64_t)value;
    else if (strcmp(key, "plan") == 0)
        o->planned_steps = (uint64_t)value;
    else
        must(err_set(ERR_USAGE, "there is no option %s", key));
}

/* As the trainer does: a feature is dead after a tenth of the planned rows, 10^7 at most. */
static uint64_t dead_window(const struct sae_options *o)
{
    uint64_t tenth = o->planned_steps * o->batch_rows / 10;
    return tenth < 1 ? 1 : tenth < 10000000 ? tenth : 10000000;
}

static struct sae *make_sae(const struct run *run, struct pool *pool, char *text)
{
    struct sae_options o;
    struct sae *sae;
    char *rest, *pair = strtok_r(text, ",", &rest);
    int arch = pair && strncmp(pair, "arch=", 5) == 0 ? sae_arch_by_name(pair + 5) : -1;
    if (arch < 0) must(err_set(ERR_USAGE, "an SAE begins with arch=NAME"));
    sae_options_default((enum sae_arch)arch, &o);
    o.width = run->given.width;
    o.mean = run->given.mean;
    o.batch_rows = run->batch;
    o.planned_steps = run->steps;
    o.pool = pool;
    while ((pair = strtok_r(NULL, ",", &rest))) {
        char *value = strchr(pair, '=');
        if (!value) must(err_set(ERR_USAGE, "%s has no value", pair));
        *value = 0;
        set_option(&o, pair, strtod(value + 1, NULL));
    }
    o.dead_window_rows = dead_window(&o);
    must(sae_new(&o, &sae));
    return sae;
}

static void gather(struct run *run, uint64_t step)
{
    const struct given *g = &run->given;
    for (uint32_t r = 0; r < run->batch; r++) {
        size_t row = g->order[(step * run->batch + r) % g->ordered];
        memcpy(run->x + (size_t)r * g->width, g->rows + row * g->width, g->width * sizeof *run->x);
    }
}

static double product(struct run *run)
{
    int features = (int)sae_options(run->sae[0])->features, width = (int)run->given.width;
    openblas_set_num_threads((int)run->threads);
    double begin = clock_seconds(CLOCK_MONOTONIC);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)run->batch, features, width, 1.0f,
                run->x, width, sae_parameters(run->sae[0]).w_enc, width, 0.0f, run->dense,
                features);
    double seconds = clock_seconds(CLOCK_MONOTONIC) - begin;
    openblas_set_num_threads(1);
    usleep(200000); /* its threads spin for a while, on the cores that our step wants */
    return seconds;
}

static void export_all(const struct run *run, uint64_t step)
{
    char path[4096];
    for (uint32_t i = 0; i < run->saes; i++) {
        snprintf(path, sizeof path, "%s/%u/%llu", run->out, i, (unsigned long long)step);
        must(export_saelens(sae_view(run->sae[i]), &(struct export_options){0}, path));
    }
}

static void print_each(const char *name, const double *value, uint32_t n)
{
    printf(", \"%s\": [", name);
    for (uint32_t i = 0; i < n; i++) printf("%s%.6g", i > 0 ? ", " : "", value[i]);
    printf("]");
}

static void make_step(struct run *run, uint64_t step)
{
    double l0[MAX_SAES], fve[MAX_SAES], dead[MAX_SAES], multiplied = 0;
    struct sae_step report;
    gather(run, step);
    if (run->product) multiplied = product(run);
    double begin = clock_seconds(CLOCK_MONOTONIC);
    for (uint32_t i = 0; i < run->saes; i++) {
        must(sae_train(run->sae[i], &(struct sae_batch){run->x, NULL, run->batch}, &report));
        if (report.skipped)
            must(err_set(ERR_STATE, "step %llu was not finite", (unsigned long long)step));
        l0[i] = report.l0;
        fve[i] = report.fve;
        dead[i] = report.dead;
    }
    printf("{\"seconds\": %.6f", clock_seconds(CLOCK_MONOTONIC) - begin);
    if (run->product) printf(", \"product\": %.6f", multiplied);
    print_each("l0", l0, run->saes);
    print_each("fve", fve, run->saes);
    print_each("dead", dead, run->saes);
    printf("}\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    sae_blas_wide(argv);
    struct run run = {0};
    struct pool *pool;
    int first = argc > 7 && strcmp(argv[7], "product=1") == 0 ? 8 : 7;
    if (argc <= first || argc - first > MAX_SAES) {
        fprintf(stderr,
                "usage: bench_learn FOLDER BATCH THREADS STEPS EVERY OUT [product=1] SAE...\n");
        return 2;
    }
    run.given = open_given(argv[1]);
    run.batch = (uint32_t)strtoul(argv[2], NULL, 10);
    run.threads = (uint32_t)strtoul(argv[3], NULL, 10);
    run.steps = strtoull(argv[4], NULL, 10);
    run.every = strtoull(argv[5], NULL, 10);
    run.out = argv[6];
    run.product = first == 8;
    must(pool_new(run.threads, &pool));
    for (; first < argc; first++) run.sae[run.saes++] = make_sae(&run, pool, argv[first]);
    run.x = malloc((size_t)run.batch * run.given.width * sizeof *run.x);
    size_t dense = run.product ? (size_t)run.batch * sae_options(run.sae[0])->features : 1;
    run.dense = calloc(dense, sizeof *run.dense);
    if (!run.x || !run.dense) must(err_set(ERR_NOMEM, "no memory for a batch"));
    for (uint64_t step = 0; step < run.steps; step++) {
        make_step(&run, step);
        int due = step + 1 == run.steps || (run.every > 0 && (step + 1) % run.every == 0);
        if (due && strcmp(run.out, "-") != 0) export_all(&run, step + 1);
    }
    for (uint32_t i = 0; i < run.saes; i++) sae_free(run.sae[i]);
    pool_free(pool);
    free(run.x);
    free(run.dense);
    return 0;
}
