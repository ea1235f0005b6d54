/* `sluice steer`: what a model says with features clamped, beside what it says by itself. */
#include "base/err.h"
#include "base/json_put.h"
#include "cli/commands.h"
#include "cli/shown.h"
#include "cli/subject.h"
#include "inspect/generation.h"
#include "inspect/index.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TOKENS = 4096, TEXT_BYTES = 64 };

struct steering {
    const struct options *options;
    struct subject subject;
    struct llama_hooks hooks;
    struct llama_player *player;
    struct clamps clamps;
    uint8_t *spared; /* (MOST_TOKENS); owned */
    struct generation_options how;
    int32_t *prompt;                  /* owned */
    struct generation plain, steered; /* owned */
    double median_norm;
};

/* ---- what is asked for ---- */

/* The largest activations that an index of this SAE has seen, of those that nobody told. */
static int read_index(struct steering *s, const char *folder)
{
    struct clamps *c = &s->clamps;
    struct index index;
    int result = index_open(folder, &index);
    if (result != ERR_OK) return result;
    if (index.facts.fingerprint != s->subject.fingerprint)
        result = err_set(ERR_USAGE,
                         "%s is the index of another SAE than %s; HINT: `sluice inspect` makes "
                         "this one's",
                         folder, s->subject.name);
    for (uint32_t i = 0; i < c->count && result == ERR_OK; i++) {
        uint32_t f = c->clamp[i].feature;
        if (!isnan(c->clamp[i].largest) || f >= index.facts.features) continue;
        if (index.entry[f].largest > 0)
            c->clamp[i].largest = (double)index.entry[f].largest;
        else
            result = err_set(ERR_USAGE,
                             "feature %u never fires in %s; HINT: --max %u=ACTIVATION, or another "
                             "feature",
                             f, folder, f);
    }
    index_close(&index);
    return result;
}

static int read_clamps(struct steering *s)
{
    const char *features = options_get(s->options, "features");
    const char *largest = options_get(s->options, "max"), *index = options_get(s->options, "index");
    struct clamps *c = &s->clamps;
    if (!features)
        return err_set(ERR_USAGE, "no feature to steer; HINT: --features 123=4x --max 123=7.5");
    int result = clamp_parse(features, c);
    if (result == ERR_OK && largest) result = clamp_parse_largest(largest, c);
    if (result == ERR_OK && index) result = read_index(s, index);
    for (uint32_t i = 0; i < c->count && result == ERR_OK; i++) {
        uint32_t f = c->clamp[i].feature;
        if (f >= subject_features(&s->subject))
            result = err_set(ERR_USAGE, "feature %u: %s has 0 to %u", f, s->subject.name,
                             subject_features(&s->subject) - 1);
        else if (isnan(c->clamp[i].largest))
            result =
                err_set(ERR_USAGE,
                        "feature %u: how many times its largest activation is told, and not "
                        "what that is; HINT: --index DIR of `sluice inspect`, --max %u=ACTIVATION, "
                        "or an absolute value: --features %u=30",
                        f, f, f);
    }
    return result;
}

/* all, generated, or positions A-B of the sequence. */
static int read_positions(struct steering *s)
{
    const char *told = options_get(s->options, "positions");
    unsigned first, last;
    int used = 0;
    s->clamps.first = 0;
    s->clamps.last = UINT32_MAX;
    if (!told || strcmp(told, "all") == 0) return ERR_OK;
    if (strcmp(told, "generated") == 0) {
        s->clamps.first = s->how.prompt_tokens;
        return ERR_OK;
    }
    if (sscanf(told, "%u-%u%n", &first, &last, &used) == 2 && !told[used] && first <= last) {
        s->clamps.first = first;
        s->clamps.last = last;
        return ERR_OK;
    }
    return err_set(ERR_USAGE, "--positions %s: HINT: all, generated, or A-B, as 5-20", told);
}

static int read_how(struct steering *s)
{
    long long tokens, seed;
    const char *heat = options_get(s->options, "temperature");
    char *end = NULL;
    int result = options_number(s->options, "tokens", 1, MOST_TOKENS / 2, 60, &tokens);
    if (result == ERR_OK) result = options_number(s->options, "seed", 0, INT64_MAX, 0, &seed);
    if (result != ERR_OK) return result;
    s->how.tokens = (uint32_t)tokens;
    s->how.seed = (uint64_t)seed;
    s->how.temperature = heat ? strtod(heat, &end) : 0.7;
    if (heat && (end == heat || *end || !(s->how.temperature >= 0) || s->how.temperature > 100))
        return err_set(ERR_USAGE, "--temperature %s is no number from 0 to 100", heat);
    s->clamps.adds = options_get(s->options, "additive") != NULL;
    return ERR_OK;
}

/* Position 0 and special tokens keep what they have: no SAE is trained on them unless told, and what
 * a feature's value is there means nothing. */
static void spare(struct steering *s)
{
    for (uint32_t i = 0; i < s->how.prompt_tokens; i++)
        s->spared[i] = (uint8_t)(i == 0 || llama_runner_is_special(llama_player_runner(s->player),
                                                                   s->prompt[i]));
    s->clamps.spared = s->spared;
}

static int read_prompt(struct steering *s)
{
    const char *text = options_get(s->options, "prompt");
    if (!text) return err_set(ERR_USAGE, "no prompt; HINT: --prompt TEXT");
    int result = firing_tokens(&s->subject, llama_player_runner(s->player), text,
                               MOST_TOKENS - s->how.tokens, &s->prompt, &s->how.prompt_tokens);
    if (result != ERR_OK) return result;
    s->how.prompt = s->prompt;
    spare(s);
    return read_positions(s);
}

/* ---- running ---- */

static int open_player(struct steering *s)
{
    char model[SUBJECT_PATH_BYTES];
    struct llama_runner_options options = {.path = model, .context_tokens = 16};
    struct llama_facts facts;
    int result = subject_threads(s->options, &options.threads);
    if (result == ERR_OK) result = subject_model(s->options, &s->subject, model);
    if (result == ERR_OK) result = firing_hooks(&s->subject, &s->hooks);
    if (result == ERR_OK) result = llama_runner_try(&options, &s->hooks, &facts);
    if (result != ERR_OK) return result;
    options.context_tokens = MOST_TOKENS;
    if (facts.context_tokens && facts.context_tokens < MOST_TOKENS)
        options.context_tokens = facts.context_tokens;
    result = llama_player_open(&options, &s->hooks, &s->player);
    if (result != ERR_OK || s->hooks.hook[0].width == s->subject.width) return result;
    return err_set(ERR_USAGE,
                   "%s has rows of %u values at %s, and the model has %u; HINT: --model, the model "
                   "that it was trained on",
                   s->subject.name, s->subject.width, s->subject.hook[0], s->hooks.hook[0].width);
}

static int run(struct steering *s)
{
    int result = generation_make(&s->how, &s->subject, s->player, NULL, &s->plain);
    if (result == ERR_OK)
        result = generation_make(&s->how, &s->subject, s->player, &s->clamps, &s->steered);
    if (result == ERR_OK) s->median_norm = generation_median_norm(&s->plain);
    return result;
}

/* ---- telling ---- */

/* Bytes of all tokens; malloc'ed, NUL-terminated. NULL: no memory. */
static char *text_of(const struct steering *s, const struct generation *g, size_t *bytes)
{
    char *text = malloc((size_t)g->count * TEXT_BYTES + 1);
    *bytes = 0;
    for (uint32_t i = 0; text && i < g->count; i++) {
        size_t n = llama_runner_text(llama_player_runner(s->player), g->tokens[i], text + *bytes,
                                     TEXT_BYTES);
        *bytes += n < TEXT_BYTES ? n : TEXT_BYTES - 1;
    }
    if (text) text[*bytes] = '\0';
    return text;
}

static void print_text(const struct steering *s, const char *what, const struct generation *g)
{
    size_t bytes;
    char *text = text_of(s, g, &bytes), *shown = text ? malloc(4 * bytes + 8) : NULL;
    if (shown) shown_text(text, bytes, shown, 4 * bytes + 8);
    printf("%s (%.2f nats per token)\n  %s\n\n", what, g->nats / g->count, shown ? shown : "");
    free(shown);
    free(text);
}

static void print_strengths(const struct steering *s)
{
    const struct clamps *c = &s->clamps;
    printf("%8s %12s %10s %22s\n", "feature", "x largest", "value", "of a row's median norm");
    for (uint32_t i = 0; i < c->count; i++)
        printf("%8" PRIu32 " %12.3g %10.4g %21.0f%%\n", c->clamp[i].feature, c->clamp[i].times,
               clamp_value(&c->clamp[i]),
               100 * clamp_length(&s->subject, &c->clamp[i]) / s->median_norm);
}

static void print_all(const struct steering *s)
{
    const struct clamps *c = &s->clamps;
    printf("%s, %s, %s, seed %" PRIu64 "\n\n", s->subject.name, s->subject.hook[0],
           c->adds ? "features added" : "features clamped", s->how.seed);
    print_text(s, "unsteered", &s->plain);
    print_text(s, "steered", &s->steered);
    print_strengths(s);
    printf("\n%" PRIu64 " of %" PRIu32
           " tokens were steered, each row moved by %.0f%% of the median "
           "norm (%.4g, of the unsteered run)\n",
           c->steered_rows, s->how.prompt_tokens + s->steered.count - 1,
           c->steered_rows ? 100 * c->moved / (double)c->steered_rows / s->median_norm : 0,
           s->median_norm);
}

static void print_all_json(const struct steering *s)
{
    const struct clamps *c = &s->clamps;
    json_t *o = json_object(), *list = json_array();
    const struct generation *all[] = {&s->plain, &s->steered};
    static const char *const names[] = {"unsteered", "steered"};
    for (int i = 0; i < 2; i++) {
        size_t bytes;
        char *text = text_of(s, all[i], &bytes), *shown = text ? malloc(4 * bytes + 8) : NULL;
        json_t *one = json_object(), *tokens = json_array();
        if (shown) shown_text(text, bytes, shown, 4 * bytes + 8);
        for (uint32_t t = 0; t < all[i]->count; t++)
            json_array_append_new(tokens, json_integer(all[i]->tokens[t]));
        json_put_text(one, "text", shown);
        json_put(one, "tokens", tokens);
        json_put_number(one, "nats_per_token", all[i]->nats / all[i]->count);
        json_put(o, names[i], one);
        free(shown);
        free(text);
    }
    for (uint32_t i = 0; i < c->count; i++) {
        json_t *one = json_object();
        json_put_count(one, "feature", c->clamp[i].feature);
        json_put_number(one, "times_largest", c->clamp[i].times);
        json_put_number(one, "value", clamp_value(&c->clamp[i]));
        json_put_number(one, "share_of_median_norm",
                        clamp_length(&s->subject, &c->clamp[i]) / s->median_norm);
        json_array_append_new(list, one);
    }
    json_put(o, "features", list);
    json_put_count(o, "steered_tokens", c->steered_rows);
    json_put_count(o, "tokens", s->how.prompt_tokens + s->steered.count - 1);
    json_put_number(o, "median_norm", s->median_norm);
    json_dumpf(o, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(o);
}

static void warn_of_nothing(const struct steering *s)
{
    const struct clamps *c = &s->clamps;
    if (c->steered_rows == 0)
        fprintf(stderr, "sluice: WARNING: no token was steered: --positions begin behind the last "
                        "one\n");
    else if (c->moved == 0)
        fprintf(stderr, "sluice: WARNING: no row was moved: the features have these values "
                        "already\n");
}

int steer_command(const struct options *options, const struct config *config)
{
    struct steering s = {.options = options};
    (void)config;
    int result = read_how(&s);
    if (result == ERR_OK) result = subject_open(options, &s.subject);
    if (result != ERR_OK) return result;
    s.clamps.subject = &s.subject;
    s.spared = calloc(MOST_TOKENS, 1);
    if (!s.spared) result = err_set(ERR_NOMEM, "no memory to steer");
    if (result == ERR_OK) result = subject_is_dictionary(&s.subject, "steering");
    if (result == ERR_OK) result = read_clamps(&s);
    if (result == ERR_OK) result = open_player(&s);
    if (result == ERR_OK) result = read_prompt(&s);
    if (result == ERR_OK) result = run(&s);
    if (result == ERR_OK) warn_of_nothing(&s);
    if (result == ERR_OK && options_get(options, "json"))
        print_all_json(&s);
    else if (result == ERR_OK)
        print_all(&s);
    generation_free(&s.plain);
    generation_free(&s.steered);
    llama_player_close(s.player);
    free(s.prompt);
    free(s.spared);
    subject_close(&s.subject);
    return result;
}
