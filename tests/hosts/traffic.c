#include "tests/hosts/traffic.h"

#include "base/clock.h"
#include "base/err.h"
#include "tests/hosts/talk.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct gaps {
    double *ms;
    size_t count, room;
};

struct load {
    const struct traffic_options *options;
    struct traffic *traffic;
    struct talk *talks; /* [concurrent] */
    int *numbers;       /* which request each has; -1: none */
    int begun, ended;
    struct gaps between, first;
    uint64_t until_ns;
};

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int add_gap(struct gaps *gaps, uint64_t from_ns, uint64_t to_ns)
{
    if (gaps->count == gaps->room) {
        size_t room = gaps->room ? gaps->room * 2 : 1024;
        double *ms = realloc(gaps->ms, room * sizeof *ms);
        if (!ms) return err_set(ERR_NOMEM, "no memory");
        gaps->ms = ms;
        gaps->room = room;
    }
    gaps->ms[gaps->count++] = (double)(to_ns - from_ns) * 1e-6;
    return ERR_OK;
}

static double percentile(struct gaps *gaps, int percent)
{
    if (!gaps->count) return 0;
    qsort(gaps->ms, gaps->count, sizeof *gaps->ms, rising);
    return gaps->ms[(gaps->count - 1) * (size_t)percent / 100];
}

static int begin(struct load *load, int place)
{
    const struct traffic_options *o = load->options;
    const char *prompt = o->prompts->texts[load->begun % o->prompts->count];
    load->numbers[place] = load->begun++;
    return talk_open(&load->talks[place], o->port, prompt, o->tokens);
}

static int end(struct load *load, int place)
{
    struct talk *talk = &load->talks[place];
    int result = ERR_OK;
    talk_close(talk);
    if (talk->tokens) result = add_gap(&load->first, talk->asked_ns, talk->token_ns[0]);
    for (int i = 1; i < talk->tokens && result == ERR_OK; i++)
        result = add_gap(&load->between, talk->token_ns[i - 1], talk->token_ns[i]);
    load->traffic->tokens += talk->tokens;
    load->traffic->answers[load->numbers[place]] = strdup(talk->text);
    load->numbers[place] = -1;
    load->ended++;
    return result;
}

static int await(struct load *load, struct pollfd *polls)
{
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    int ms = now_ns < load->until_ns ? (int)((load->until_ns - now_ns) / 1000000) + 1 : 0;
    for (int i = 0; i < load->options->concurrent; i++)
        polls[i] = (struct pollfd){.fd = load->talks[i].fd, .events = POLLIN};
    int ready = poll(polls, (nfds_t)load->options->concurrent, ms);
    if (ready < 0 && errno != EINTR) return err_set(ERR_IO, "cannot wait: %s", strerror(errno));
    if (ready == 0)
        return err_set(ERR_AGAIN, "%d of %d requests were answered in %.0f seconds", load->ended,
                       load->options->requests, load->options->limit_seconds);
    return ERR_OK;
}

static int work(struct load *load)
{
    struct pollfd polls[TRAFFIC_MOST];
    int result = await(load, polls);
    for (int i = 0; i < load->options->concurrent && result == ERR_OK; i++) {
        if (load->numbers[i] < 0 || !polls[i].revents) continue;
        result = talk_hear(&load->talks[i]);
        if (result != ERR_OK || !load->talks[i].done) continue;
        result = end(load, i);
        if (result == ERR_OK && load->begun < load->options->requests) result = begin(load, i);
    }
    return result;
}

static int run(struct load *load)
{
    const struct traffic_options *o = load->options;
    struct processor_seconds before = {0}, after = {0};
    int result = o->pid ? processor_seconds_of(o->pid, &before) : ERR_OK;
    uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    load->until_ns = start_ns + (uint64_t)(o->limit_seconds * 1e9);
    for (int i = 0; i < o->concurrent && i < o->requests && result == ERR_OK; i++)
        result = begin(load, i);
    while (result == ERR_OK && load->ended < o->requests) result = work(load);
    load->traffic->seconds = (double)(clock_ns(CLOCK_MONOTONIC) - start_ns) * 1e-9;
    if (result == ERR_OK && o->pid) result = processor_seconds_of(o->pid, &after);
    load->traffic->processor.own = after.own - before.own;
    load->traffic->processor.others = after.others - before.others;
    return result;
}

static void sum_up(struct load *load)
{
    struct traffic *t = load->traffic;
    t->tokens_per_second = (double)t->tokens / t->seconds;
    t->p50_ms = percentile(&load->between, 50);
    t->p99_ms = percentile(&load->between, 99);
    t->first_p50_ms = percentile(&load->first, 50);
}

int traffic_run(const struct traffic_options *options, struct traffic *traffic)
{
    size_t concurrent = (size_t)options->concurrent;
    if (concurrent < 1 || concurrent > TRAFFIC_MOST)
        return err_set(ERR_LIMIT, "1 to %d requests at once, not %zu", TRAFFIC_MOST, concurrent);
    *traffic = (struct traffic){.requests = options->requests};
    traffic->answers = calloc((size_t)options->requests, sizeof *traffic->answers);
    struct load load = {.options = options,
                        .traffic = traffic,
                        .talks = calloc(concurrent, sizeof *load.talks),
                        .numbers = calloc(concurrent, sizeof *load.numbers)};
    int result = ERR_NOMEM;
    if (traffic->answers && load.talks && load.numbers) {
        for (size_t i = 0; i < concurrent; i++) load.talks[i].fd = load.numbers[i] = -1;
        result = run(&load);
        for (size_t i = 0; i < concurrent; i++) talk_close(&load.talks[i]);
    }
    if (result == ERR_OK)
        sum_up(&load);
    else
        traffic_free(traffic);
    free(load.talks);
    free(load.numbers);
    free(load.between.ms);
    free(load.first.ms);
    return result;
}

void traffic_free(struct traffic *traffic)
{
    for (int i = 0; traffic->answers && i < traffic->requests; i++) free(traffic->answers[i]);
    free(traffic->answers);
    *traffic = (struct traffic){0};
}
