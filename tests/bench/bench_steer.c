/*
 * What looking costs: tokens/s of a model that is steered over those of the same model alone, in turns,
 * and the seconds of a trace of 500 tokens, of which the model is loaded already.
 *
 *   bench_steer SAE [PAIRS]      what `sluice steer` takes; 7 pairs
 *
 * Alone: no hook is read. Steered: one feature is clamped at every position of one hook, so the SAE
 * encodes each row. Both write so many tokens greedily.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "cli/subject.h"
#include "engine/engine.h"
#include "inspect/firing.h"
#include "inspect/generation.h"

enum { TOKENS = 64, TRACED = 500, MOST_PAIRS = 100, TRACES = 5 };

static const char prompt[] = "The history of the town begins with a river, and";

struct bench {
    struct subject subject;
    struct steering steering;
    struct llama_hooks hooks;
    struct llama_player *player;
    struct generation_options how;
    int32_t *tokens;
};

static void must(int code)
{
    if (code == ERR_OK) return;
    fprintf(stderr, "bench_steer: %s: %s\n", err_str(code), err_text());
    exit(1);
}

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void open_all(struct bench *b, const char *sae)
{
    static char model[SUBJECT_PATH_BYTES];
    struct options options = {.file = sae};
    struct llama_runner_options runner = {.path = model, .context_tokens = 1024};
    must(subject_open(&options, &b->subject));
    must(subject_threads(&options, &runner.threads));
    must(subject_model(&options, &b->subject, model));
    must(steering_add(&b->steering, &b->subject, "sae"));
    must(steering_parse("0=20", 0, &b->steering));
    must(steering_hooks(&b->steering, &b->hooks));
    must(llama_player_open(&runner, &b->hooks, &b->player));
    must(steering_check_widths(&b->steering, &b->hooks));
    must(firing_tokens(&b->subject, llama_player_runner(b->player), prompt, 512, &b->tokens,
                       &b->how.prompt_tokens));
    b->how.prompt = b->tokens;
    b->how.tokens = TOKENS;
}

/* *work: processor seconds per token, which other work beside it changes less. */
static double tokens_per_second(struct bench *b, enum generation_way way, double *work)
{
    struct generation g;
    double start = clock_seconds(CLOCK_MONOTONIC), spent = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    must(generation_make(&b->how, b->player, &b->steering, way, &g));
    double rate = g.count / (clock_seconds(CLOCK_MONOTONIC) - start);
    *work = (clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - spent) / g.count;
    generation_free(&g);
    return rate;
}

static void compare(struct bench *b, uint32_t pairs)
{
    double ratio[MOST_PAIRS], less[MOST_PAIRS], alone = 0, steered = 0, work, more;
    tokens_per_second(b, GENERATION_STEERED, &work); /* warm */
    for (uint32_t i = 0; i < pairs; i++) {
        double one = tokens_per_second(b, GENERATION_ALONE, &work);
        double other = tokens_per_second(b, GENERATION_STEERED, &more);
        alone += one / pairs;
        steered += other / pairs;
        ratio[i] = other / one;
        less[i] = work / more;
    }
    qsort(ratio, pairs, sizeof *ratio, rising);
    qsort(less, pairs, sizeof *less, rising);
    printf(
        "steered over alone: median of %u %.3f, %.3f to %.3f; in the mean %.1f of %.1f tokens/s; "
        "aim >= 0.9\n"
        "  tokens per processor second: median %.3f, %.3f to %.3f\n",
        pairs, ratio[pairs / 2], ratio[0], ratio[pairs - 1], steered, alone, less[pairs / 2],
        less[0], less[pairs - 1]);
}

/* So many words, of which each is a token or more. */
static void trace(struct bench *b)
{
    static char text[TRACED * 16];
    double seconds[TRACES], work[TRACES];
    uint32_t count = 0;
    for (int i = 0; i < TRACED; i++) strcat(text, i % 2 ? " and" : " water");
    for (int i = 0; i < TRACES; i++) {
        struct firing f;
        double start = clock_seconds(CLOCK_MONOTONIC),
               spent = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
        must(firing_make(&b->subject, b->player, &b->hooks, text, 1024, &f));
        seconds[i] = clock_seconds(CLOCK_MONOTONIC) - start;
        work[i] = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - spent;
        count = f.count;
        firing_free(&f);
    }
    qsort(seconds, TRACES, sizeof *seconds, rising);
    qsort(work, TRACES, sizeof *work, rising);
    printf("a trace of %u tokens: median of %d %.2f s, %.2f to %.2f; aim < 2 s; %.2f processor "
           "seconds\n",
           count, TRACES, seconds[TRACES / 2], seconds[0], seconds[TRACES - 1], work[TRACES / 2]);
}

int main(int argc, char **argv)
{
    engine_threads_passive(argv); /* as sluice does */
    struct bench b = {0};
    uint32_t pairs = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 7;
    if (argc < 2 || argc > 3 || pairs < 1 || pairs > MOST_PAIRS) {
        fprintf(stderr, "usage: bench_steer SAE [PAIRS]\n");
        return 2;
    }
    open_all(&b, argv[1]);
    compare(&b, pairs);
    trace(&b);
    free(b.tokens);
    llama_player_close(b.player);
    subject_close(&b.subject);
    return 0;
}
