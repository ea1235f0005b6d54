/* The steered text beside the unsteered one. */
#include "cli/steer.h"

#include "base/err.h"
#include "base/json_put.h"
#include "cli/labelled.h"
#include "cli/shown.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_BYTES = 64 };

struct texts {
    struct steer *steer;
    struct generation plain, steered; /* owned */
    double median_norm[STEERING_MOST];
};

/* ---- texts ---- */

/* All tokens as a person sees them; malloc'ed. NULL: no memory. */
static char *text_of(const struct texts *t, const struct generation *g)
{
    size_t bytes = 0, room = (size_t)g->count * TEXT_BYTES + 1;
    char *text = malloc(room), *shown = malloc(4 * room + 8);
    for (uint32_t i = 0; text && i < g->count; i++) {
        size_t n = llama_runner_text(llama_player_runner(t->steer->player), g->tokens[i],
                                     text + bytes, TEXT_BYTES);
        bytes += n < TEXT_BYTES ? n : TEXT_BYTES - 1;
    }
    if (text && shown) shown_text(text, bytes, shown, 4 * room + 8);
    if (!text) {
        free(shown);
        return NULL;
    }
    free(text);
    return shown;
}

static void print_text(const struct texts *t, const char *what, const struct generation *g)
{
    char *shown = text_of(t, g);
    printf("%s (%.2f nats per token)\n  %s\n\n", what, g->nats / g->count, shown ? shown : "");
    free(shown);
}

static json_t *text_json(const struct texts *t, const struct generation *g)
{
    char *shown = text_of(t, g);
    json_t *one = json_object(), *tokens = json_array();
    for (uint32_t i = 0; i < g->count; i++)
        json_array_append_new(tokens, json_integer(g->tokens[i]));
    json_put_text(one, "text", shown);
    json_put(one, "tokens", tokens);
    json_put_number(one, "nats_per_token", g->nats / g->count);
    free(shown);
    return one;
}

/* ---- strengths ---- */

static double share_of(const struct texts *t, uint32_t h, const struct clamp *c)
{
    return clamp_length(t->steer->steering.of[h].subject, c) / t->median_norm[h];
}

static void print_strengths(const struct texts *t)
{
    char label[LABELLED_BYTES], times[32];
    const struct steering *s = &t->steer->steering;
    printf("%8s %12s %10s %22s\n", "feature", "x largest", "value", "of a row's median norm");
    for (uint32_t h = 0; h < s->count; h++) {
        if (s->count > 1) printf("%s, %s\n", s->name[h], s->of[h].subject->hook[0]);
        for (uint32_t i = 0; i < s->of[h].count; i++) {
            const struct clamp *c = &s->of[h].clamp[i];
            labelled_text(&t->steer->labels[h], c->feature, label);
            snprintf(times, sizeof times, isnan(clamp_times(c)) ? "-" : "%.3g", clamp_times(c));
            printf("%8" PRIu32 " %12s %10.4g %21.0f%% %s\n", c->feature, times, clamp_value(c),
                   100 * share_of(t, h, c), label);
        }
    }
}

static json_t *strengths_json(const struct texts *t)
{
    const struct steering *s = &t->steer->steering;
    json_t *list = json_array();
    for (uint32_t h = 0; h < s->count; h++)
        for (uint32_t i = 0; i < s->of[h].count; i++) {
            const struct clamp *c = &s->of[h].clamp[i];
            json_t *one = json_object();
            json_put_text(one, "sae", s->name[h]);
            json_put_text(one, "hook", s->of[h].subject->hook[0]);
            json_put_count(one, "feature", c->feature);
            json_put_text(one, "label", labels_of(&t->steer->labels[h], c->feature));
            json_put_number(one, "times_largest", clamp_times(c));
            json_put_number(one, "value", clamp_value(c));
            json_put_number(one, "share_of_median_norm", share_of(t, h, c));
            json_array_append_new(list, one);
        }
    return list;
}

/* ---- all of it ---- */

static uint32_t tokens_run(const struct texts *t)
{
    return t->steer->how.prompt_tokens + t->steered.count - 1;
}

static void print_moves(const struct texts *t, uint32_t h)
{
    const struct clamps *c = &t->steer->steering.of[h];
    double median = t->median_norm[h];
    printf("%" PRIu64 " of %" PRIu32 " tokens were steered", c->steered_rows, tokens_run(t));
    if (t->steer->steering.count > 1) printf(" at %s", c->subject->hook[0]);
    printf(", each row moved by %.0f%% of the median norm (%.4g, of the unsteered run)\n",
           c->steered_rows ? 100 * c->moved / (double)c->steered_rows / median : 0, median);
}

static void print_all(const struct texts *t)
{
    const struct steering *s = &t->steer->steering;
    for (uint32_t h = 0; h < s->count; h++)
        printf("%s, %s, ", s->name[h], s->of[h].subject->hook[0]);
    printf("%s, seed %" PRIu64 "\n\n", s->of[0].adds ? "features added" : "features clamped",
           t->steer->how.seed);
    print_text(t, "unsteered", &t->plain);
    print_text(t, "steered", &t->steered);
    print_strengths(t);
    putchar('\n');
    for (uint32_t h = 0; h < s->count; h++) print_moves(t, h);
    if (s->count > 1)
        printf("an upper hook's rows are those that the lower ones' clamps lead to; norms are of "
               "the unsteered run\n");
}

static json_t *moves_json(const struct texts *t)
{
    const struct steering *s = &t->steer->steering;
    json_t *list = json_array();
    for (uint32_t h = 0; h < s->count; h++) {
        json_t *one = json_object();
        json_put_text(one, "sae", s->name[h]);
        json_put_text(one, "hook", s->of[h].subject->hook[0]);
        json_put_count(one, "steered_tokens", s->of[h].steered_rows);
        json_put_number(one, "moved", s->of[h].moved / (double)s->of[h].steered_rows);
        json_put_number(one, "median_norm", t->median_norm[h]);
        json_array_append_new(list, one);
    }
    return list;
}

static void print_all_json(const struct texts *t)
{
    json_t *o = json_object();
    json_put(o, "unsteered", text_json(t, &t->plain));
    json_put(o, "steered", text_json(t, &t->steered));
    json_put(o, "features", strengths_json(t));
    json_put(o, "hooks", moves_json(t));
    json_put_count(o, "steered_tokens", t->steer->steering.of[0].steered_rows);
    json_put_count(o, "tokens", tokens_run(t));
    json_put_number(o, "median_norm", t->median_norm[0]);
    shown_json(o, 9);
}

static void warn_of_nothing(const struct steering *s)
{
    for (uint32_t h = 0; h < s->count; h++) {
        const struct clamps *c = &s->of[h];
        if (c->steered_rows == 0)
            fprintf(stderr, "sluice: WARNING: no token was steered: --positions begin behind the "
                            "last one\n");
        else if (c->moved == 0)
            fprintf(stderr,
                    "sluice: WARNING: no row was moved at %s: the features have these values "
                    "already\n",
                    c->subject->hook[0]);
        if (c->steered_rows == 0) return;
    }
}

int steer_texts(struct steer *s)
{
    struct texts t = {.steer = s};
    const char *file = options_get(s->options, "export");
    int result = file ? steer_export(s, file) : ERR_OK;
    steer_progress_begin(s, 2 * (uint64_t)s->how.tokens);
    if (result == ERR_OK)
        result = generation_make(&s->how, s->player, &s->steering, GENERATION_WATCHED, &t.plain);
    if (result == ERR_OK)
        result = generation_make(&s->how, s->player, &s->steering, GENERATION_STEERED, &t.steered);
    steer_progress_end(s);
    for (uint32_t h = 0; h < s->steering.count && result == ERR_OK; h++)
        t.median_norm[h] = generation_median_norm(&t.plain, h);
    if (result == ERR_OK) {
        warn_of_nothing(&s->steering);
        if (options_get(s->options, "json"))
            print_all_json(&t);
        else
            print_all(&t);
        if (file)
            fprintf(stderr,
                    "sluice: %s: a control vector; llama.cpp's programs take it with "
                    "--control-vector %s\n",
                    file, file);
    }
    generation_free(&t.plain);
    generation_free(&t.steered);
    return result;
}
