/*
 * What an evaluation costs beside the model itself: contexts of 128 tokens through the whole model
 * with all logits and through evaluation_add(), context by context in turns, so that other work on
 * the machine hits both.
 *
 *   bench_eval MODEL CACHE CORPUS [TURNS [CONTEXTS]]      5 turns of 32 contexts
 *
 * The SAE is a topk one (F 4608, K 32) of random weights at the layer in the middle. Each turn opens
 * an evaluation of its own, so the passes that find out about zeros are in its time. Prints a line a
 * turn, "plain=R eval=R ratio=R processor_ratio=R" in tokens/s, and last the medians of the ratios and
 * their ranges: of seconds, and of processor seconds, which other work changes less. The model is loaded, and where need be prepared, before any clock starts; one context
 * is not timed. Idle threads sleep, unless OMP_WAIT_POLICY says otherwise.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "engine/llama_whole.h"
#include "inspect/contexts.h"
#include "inspect/evaluation.h"
#include "inspect/firing.h"
#include "sae/cpu/pool.h"

enum {
    CONTEXT = 128,
    MOST_CONTEXTS = 1024,
    FEATURES = 4608,
    K = 32,
    THREADS = 2,
    MOST_TURNS = 101
};
static const char hook_name[] = "resid_post.15";
static const uint64_t cache_bytes = UINT64_C(8) << 30;

struct bench {
    struct llama_hooks hooks;
    struct llama_player *player;
    struct subject subject;
    int32_t tokens[MOST_CONTEXTS][CONTEXT];
    uint64_t passes; /* that llama_player_feed() told of since it was set to 0 */
};

static void must(int code)
{
    if (code == ERR_OK) return;
    fprintf(stderr, "bench_eval: %s: %s\n", err_str(code), err_text());
    exit(1);
}

/* ---- what is given ---- */

static void open_player(struct bench *b, const char *source, const char *cache)
{
    static char path[SUBJECT_PATH_BYTES];
    const char *names[1] = {hook_name};
    must(llama_whole(source, cache, cache_bytes, THREADS, NULL, path, sizeof path));
    must(llama_hooks_parse(names, 1, &b->hooks));
    struct llama_runner_options options = {
        .path = path, .context_tokens = CONTEXT, .threads = THREADS};
    must(llama_player_open(&options, &b->hooks, &b->player));
}

/* Directions that are read and written alike, of norm about 1. */
static void make_subject(struct bench *b)
{
    struct subject *s = &b->subject;
    struct sae_options o;
    struct rng rng;
    *s = (struct subject){.name = "random", .path = "random", .layout = "hooks", .hooks = 1};
    sae_options_default(SAE_TOPK, &o);
    must(pool_new(THREADS, &s->pool));
    o.pool = s->pool;
    o.width = b->hooks.hook[0].width;
    o.features = FEATURES;
    o.k = K;
    o.batch_rows = CONTEXT;
    must(encoder_new(&o, &s->model.encoder));
    struct encoder *e = s->model.encoder;
    rng_seed(&rng, 1);
    for (size_t i = 0; i < (size_t)FEATURES * o.width; i++)
        e->w.w_enc[i] = e->w.w_dec[i] = (float)(rng_normal(&rng) / 24);
    encoder_derive(e);
    snprintf(s->hook[0], sizeof s->hook[0], "%s", hook_name);
    s->hook_width[0] = o.width;
    subject_finish(s);
}

static void take_tokens(struct bench *b, const char *corpus, int wanted)
{
    struct contexts_options options = {.corpus = &corpus,
                                       .count = 1,
                                       .text_field = "text",
                                       .context_tokens = CONTEXT,
                                       .prepends_bos = -1};
    struct contexts *contexts;
    must(contexts_open(&options, llama_player_runner(b->player), &contexts));
    for (int c = 0; c < wanted; c++) {
        const int32_t *tokens;
        uint32_t count;
        must(contexts_next(contexts, &tokens, &count));
        if (count != CONTEXT) must(err_set(ERR_LIMIT, "%s: too few tokens", corpus));
        for (uint32_t i = 0; i < count; i++) b->tokens[c][i] = tokens[i];
    }
    contexts_close(contexts);
}

/* ---- the two ways ---- */

static int only_count(void *arg, uint32_t first, uint32_t rows, const float *logits)
{
    struct bench *b = arg;
    (void)first, (void)rows, (void)logits;
    b->passes++;
    return ERR_OK;
}

static void run_plain(struct bench *b, const int32_t *tokens)
{
    struct llama_player_watch watch = {NULL, only_count, b};
    llama_player_clear(b->player);
    must(llama_player_feed(b->player, tokens, CONTEXT, &watch));
}

enum clock_kind { WALL, PROCESSOR, CLOCKS };
static const clockid_t clocks[CLOCKS] = {CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID};

struct turn {
    double plain[CLOCKS], eval[CLOCKS]; /* seconds */
};

/* Call it with -1 where something begins, with 1 where it ends. */
static void add_clocks(double *seconds, double sign)
{
    for (int c = 0; c < CLOCKS; c++) seconds[c] += sign * clock_seconds(clocks[c]);
}

/* Each of so many contexts through both, one behind the other. */
static struct turn take_turn(struct bench *b, int contexts)
{
    struct turn turn = {0};
    struct evaluation *e;
    struct fidelity f;
    add_clocks(turn.eval, -1);
    must(evaluation_open(&b->subject, b->player, &b->hooks, CONTEXT, 0, &e));
    must(fidelity_new(b->subject.width, FEATURES, &f));
    add_clocks(turn.eval, 1);
    for (int c = 0; c < contexts; c++) {
        add_clocks(turn.plain, -1);
        run_plain(b, b->tokens[c]);
        add_clocks(turn.plain, 1);
        add_clocks(turn.eval, -1);
        must(evaluation_add(e, b->tokens[c], CONTEXT, &f));
        add_clocks(turn.eval, 1);
    }
    fidelity_free(&f);
    evaluation_close(e);
    return turn;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_median(const char *what, double *ratio, int turns)
{
    qsort(ratio, (size_t)turns, sizeof *ratio, ascending);
    printf("%s: median of %d ratios %.3f, %.3f to %.3f; target >= 0.3\n", what, turns,
           ratio[turns / 2], ratio[0], ratio[turns - 1]);
}

static void compare(struct bench *b, int turns, int contexts)
{
    double ratio[CLOCKS][MOST_TURNS], tokens = contexts * CONTEXT;
    take_turn(b, 1);
    b->passes = 0;
    for (int t = 0; t < turns; t++) {
        struct turn turn = take_turn(b, contexts);
        for (int c = 0; c < CLOCKS; c++) ratio[c][t] = turn.plain[c] / turn.eval[c];
        printf("plain=%.1f eval=%.1f ratio=%.3f processor_ratio=%.3f\n", tokens / turn.plain[WALL],
               tokens / turn.eval[WALL], ratio[WALL][t], ratio[PROCESSOR][t]);
        fflush(stdout);
    }
    if (b->passes != (uint64_t)(turns * contexts))
        must(err_set(ERR_LIMIT, "not one pass for each context"));
    print_median("tokens/s", ratio[WALL], turns);
    print_median("tokens per processor second", ratio[PROCESSOR], turns);
}

int main(int argc, char **argv)
{
    static struct bench b;
    engine_threads_passive(argv); /* others may have the cores */
    int turns = argc > 4 ? atoi(argv[4]) : 5, contexts = argc > 5 ? atoi(argv[5]) : 32;
    if (argc < 4 || turns < 1 || turns > MOST_TURNS || contexts < 1 || contexts > MOST_CONTEXTS) {
        fprintf(stderr, "usage: bench_eval MODEL CACHE CORPUS [TURNS [CONTEXTS]]\n");
        return 2;
    }
    open_player(&b, argv[1], argv[2]);
    make_subject(&b);
    take_tokens(&b, argv[3], contexts);
    compare(&b, turns, contexts);
    llama_player_close(b.player);
    subject_close(&b.subject);
    return 0;
}
