/* `sluice steer --sweep`: what each strength does, beside random directions as long. */
#include "cli/steer.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/json_put.h"
#include "cli/labelled.h"
#include "cli/shown.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USUAL_TEXTS = 4, MOST_TEXTS = 1000, MOST_FILE_BYTES = 1 << 24 };

struct sweep {
    struct steer *steer;
    struct dose_options options;
    int32_t *given; /* owned, here and below */
    uint8_t *given_spared;
    struct doses doses;
    struct dose features[STRENGTHS_MOST], control[STRENGTHS_MOST];
};

static const char explanation[] =
    "KL: of the unsteered model to the steered one, nats per token, on the texts that the steered "
    "one\n    wrote (own) and on one text for all (given)\n"
    "perplexity: of the steered texts under the unsteered model; repeats: runs of four tokens that "
    "were\n    there before; fires: tokens of them at which a feature fires in the unsteered "
    "model\n"
    "strength 0 is the model as it is: nothing is clamped (--features N=0 holds a feature at 0)\n";

/* ---- the given text ---- */

static int read_given(struct sweep *w, const char *file)
{
    struct steer *s = w->steer;
    char *text;
    size_t bytes;
    int result = file_read(file, MOST_FILE_BYTES, &text, &bytes);
    if (result != ERR_OK) return result == ERR_NOTFOUND ? ERR_USAGE : result;
    result = strlen(text) == bytes ? ERR_OK : err_set(ERR_USAGE, "a NUL; HINT: plain text");
    if (result == ERR_OK)
        result = firing_tokens(&s->subject[0], llama_player_runner(s->player), text, UINT32_MAX,
                               &w->given, &w->options.given_tokens);
    free(text);
    return result == ERR_OK ? ERR_OK : err_set(result, "--text %s: %s", file, err_text());
}

/* Where none is told: prompt and what the model writes unsteered. */
static int write_given(struct sweep *w)
{
    struct steer *s = w->steer;
    struct generation g;
    int result = generation_make(&s->how, s->player, NULL, GENERATION_ALONE, &g);
    if (result != ERR_OK) return result;
    size_t prompt = s->how.prompt_tokens, count = prompt + g.count;
    w->given = malloc(count * sizeof *w->given);
    if (w->given) {
        memcpy(w->given, s->prompt, prompt * sizeof *w->given);
        memcpy(w->given + prompt, g.tokens, g.count * sizeof *w->given);
    } else {
        result = err_set(ERR_NOMEM, "no memory for a text");
    }
    w->options.given_tokens = (uint32_t)count;
    generation_free(&g);
    return result;
}

static int take_given(struct sweep *w)
{
    const char *file = options_get(w->steer->options, "text");
    int result = file ? read_given(w, file) : write_given(w);
    if (result != ERR_OK) return result;
    if (w->options.given_tokens > READING_MOST_TOKENS)
        w->options.given_tokens = READING_MOST_TOKENS;
    w->given_spared = calloc(w->options.given_tokens, 1);
    if (!w->given_spared) return err_set(ERR_NOMEM, "no memory for a text");
    if (!w->steer->is_every)
        steer_spare(w->steer, w->given, w->options.given_tokens, w->given_spared);
    w->options.given = w->given;
    w->options.given_spared = w->given_spared;
    return ERR_OK;
}

/* ---- running ---- */

static int measure(struct sweep *w)
{
    const struct strengths *s = &w->steer->strengths;
    int result = ERR_OK;
    for (uint32_t i = 0; i < 2 * s->count && result == ERR_OK; i++) {
        struct dose *to = i % 2 ? &w->control[i / 2] : &w->features[i / 2];
        result = dose_measure(&w->doses, s->strength[i / 2], i % 2, to);
    }
    return result;
}

/* ---- telling ---- */

static void print_doses(const struct sweep *w, const char *what, const struct dose *dose)
{
    const struct strengths *s = &w->steer->strengths;
    printf("%s\n", what);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct dose *d = &dose[i];
        char strength[32];
        snprintf(strength, sizeof strength, "%g%s", d->strength, s->are_times ? "x" : "");
        printf("%10s %8.4g %7.0f%% %9.4f %9.4f %11.4g %7.1f%% %6.1f%%\n", strength, d->moved,
               100 * d->share, d->kl_own, d->kl_given, d->perplexity, 100 * d->repetition,
               100 * d->fires);
    }
}

static void print_features(const struct sweep *w)
{
    const struct steer *s = w->steer;
    char label[LABELLED_BYTES];
    for (uint32_t h = 0; h < s->steering.count; h++) {
        const struct clamps *c = &s->steering.of[h];
        printf("%s, %s, features %s\n", s->steering.name[h], c->subject->hook[0],
               c->adds ? "added" : "clamped");
        for (uint32_t k = 0; k < c->count; k++) {
            labelled_text(&s->labels[h], c->clamp[k].feature, label);
            printf("  %" PRIu32 "%s: strength 1 is a value of %.4g, %.0f%% of the median norm of "
                   "rows\n",
                   c->clamp[k].feature, label, clamp_value(&c->clamp[k]),
                   100 * clamp_length(c->subject, &c->clamp[k]) / w->doses.median_norm[h]);
        }
    }
}

static void print_all(const struct sweep *w)
{
    const struct dose_options *o = &w->options;
    print_features(w);
    printf("%" PRIu32 " texts of up to %" PRIu32 " tokens, seeds from %" PRIu64
           ", temperature %g; the given text has %" PRIu32 " tokens\n\n",
           o->texts, o->how.tokens, o->how.seed, o->how.temperature, o->given_tokens);
    printf("%10s %8s %8s %9s %9s %11s %8s %7s\n", "strength", "moved", "of norm", "KL own",
           "KL given", "perplexity", "repeats", "fires");
    print_doses(w, "the features", w->features);
    print_doses(w, "random directions as long", w->control);
    printf("\n%s", explanation);
}

static json_t *dose_json(const struct dose *d)
{
    json_t *o = json_object();
    json_put_number(o, "moved", d->moved);
    json_put_number(o, "share_of_median_norm", d->share);
    json_put_number(o, "kl_own", d->kl_own);
    json_put_number(o, "kl_given", d->kl_given);
    json_put_number(o, "perplexity", d->perplexity);
    json_put_number(o, "repetition", d->repetition);
    json_put_number(o, "fires", d->fires);
    json_put_count(o, "steered_tokens", d->steered_rows);
    json_put_count(o, "generated_tokens", d->generated);
    return o;
}

static json_t *features_json(const struct sweep *w)
{
    const struct steer *s = w->steer;
    json_t *list = json_array();
    for (uint32_t h = 0; h < s->steering.count; h++)
        for (uint32_t k = 0; k < s->steering.of[h].count; k++) {
            const struct clamp *c = &s->steering.of[h].clamp[k];
            json_t *one = json_object();
            json_put_text(one, "sae", s->steering.name[h]);
            json_put_text(one, "hook", s->steering.of[h].subject->hook[0]);
            json_put_count(one, "feature", c->feature);
            json_put_text(one, "label", labels_of(&s->labels[h], c->feature));
            json_put_number(one, "value_at_strength_1", clamp_value(c));
            json_put_number(one, "median_norm", w->doses.median_norm[h]);
            json_array_append_new(list, one);
        }
    return list;
}

static void print_all_json(const struct sweep *w)
{
    const struct strengths *s = &w->steer->strengths;
    json_t *o = json_object(), *list = json_array();
    for (uint32_t i = 0; i < s->count; i++) {
        json_t *one = json_object();
        json_put_number(one, "strength", s->strength[i]);
        json_put(one, "features", dose_json(&w->features[i]));
        json_put(one, "control", dose_json(&w->control[i]));
        json_array_append_new(list, one);
    }
    json_put_text(o, "unit", s->are_times ? "times the largest activation" : "value");
    json_put_count(o, "texts", w->options.texts);
    json_put_count(o, "given_tokens", w->options.given_tokens);
    json_put(o, "features", features_json(w));
    json_put(o, "strengths", list);
    shown_json(o, 9);
}

static int tell(const struct sweep *w)
{
    const struct steer *s = w->steer;
    const char *picture = options_get(s->options, "svg");
    if (options_get(s->options, "json"))
        print_all_json(w);
    else
        print_all(w);
    return picture ? steer_draw(s, w->features, w->control, s->strengths.count, picture) : ERR_OK;
}

int steer_sweep(struct steer *s)
{
    struct sweep *w = calloc(1, sizeof *w);
    long long texts = 0;
    if (!w) return err_set(ERR_NOMEM, "no memory for a sweep");
    w->steer = s;
    int result = options_number(s->options, "texts", 1, MOST_TEXTS, USUAL_TEXTS, &texts);
    /* of each strength the features' and the control's texts; one for norms, and one that is given */
    steer_progress_begin(s, (2 * s->strengths.count * (uint64_t)texts + 2) * s->how.tokens);
    if (result == ERR_OK) result = take_given(w);
    w->options.how = s->how;
    w->options.texts = (uint32_t)texts;
    w->options.control_seed = s->how.seed;
    if (result == ERR_OK) result = doses_open(&w->options, &s->steering, s->player, &w->doses);
    if (result == ERR_OK) {
        result = measure(w);
        steer_progress_end(s);
        if (result == ERR_OK) result = tell(w);
        doses_close(&w->doses);
    }
    free(w->given);
    free(w->given_spared);
    free(w);
    return result;
}
