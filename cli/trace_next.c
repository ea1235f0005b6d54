/* Which features push towards a next token. */
#include "cli/trace.h"

#include "base/err.h"
#include "base/json_put.h"
#include "cli/labelled.h"
#include "cli/pace.h"
#include "cli/shown.h"
#include "engine/utf8.h"
#include "inspect/attribution.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int token_of(const struct trace *t, const char *text, int32_t *token)
{
    const int32_t *tokens;
    size_t count;
    char first[TRACE_TEXT_BYTES];
    if (!utf8_valid(text, strlen(text)))
        return err_set(ERR_USAGE, "--next is not UTF-8; HINT: iconv -f FROM -t UTF-8");
    int result =
        llama_runner_tokenize(llama_player_runner(t->player), text, strlen(text), &tokens, &count);
    if (result != ERR_OK) return result;
    if (count == 0)
        return err_set(ERR_USAGE, "--next '%s' is no token; HINT: a word that the model knows",
                       text);
    *token = tokens[0];
    if (count == 1) return ERR_OK;
    trace_token(t, *token, first);
    return err_set(ERR_USAGE,
                   "--next '%s' is %zu tokens, of which the first is '%s'; HINT: one token, often "
                   "with the space before the word",
                   text, count, first);
}

static void print_effects(const struct trace *t, const struct attributions *a, int32_t token)
{
    char text[TRACE_TEXT_BYTES], likeliest[TRACE_TEXT_BYTES], label[LABELLED_BYTES];
    struct attribution_agreement g = attribution_agree(a);
    trace_token(t, token, text);
    trace_token(t, a->likeliest, likeliest);
    printf("'%s' is the next token with probability %.3g (logit %.2f above the mean); the "
           "likeliest is '%s'\n\n%8s %7s %12s %9s %9s\n",
           text, a->probability, a->logit, likeliest, "feature", "fires", "at the last", "direct",
           "ablated");
    for (size_t i = 0; i < a->count && i < t->top; i++) {
        labelled_text(&t->labels, a->of[i].feature, label);
        printf("%8" PRIu32 " %7" PRIu32 " %12.3g %+9.3f %+9.3f %s\n", a->of[i].feature,
               a->of[i].fires, (double)a->of[i].value, a->of[i].direct, a->of[i].ablated, label);
    }
    printf("\nfires: at so many tokens; at the last: its value there\n"
           "direct: value times what its direction adds to the logit, the final norm held\n"
           "ablated: how much the logit falls without it at all tokens\n"
           "agreement: of %zu features that have both %zu have one sign",
           g.both, g.same_sign);
    if (!isnan(g.ranks)) printf("; the ranks correlate with %.2f", g.ranks);
    putchar('\n');
}

static void print_effects_json(const struct trace *t, const struct attributions *a, int32_t token)
{
    struct attribution_agreement g = attribution_agree(a);
    json_t *list = json_array(), *object = json_object();
    for (size_t i = 0; i < a->count && i < t->top; i++) {
        json_t *one = json_object();
        json_put_count(one, "feature", a->of[i].feature);
        json_put_text(one, "label", labels_of(&t->labels, a->of[i].feature));
        json_put_count(one, "fires", a->of[i].fires);
        json_put_number(one, "value_at_last", (double)a->of[i].value);
        json_put_number(one, "direct", a->of[i].direct);
        json_put_number(one, "ablated", a->of[i].ablated);
        json_array_append_new(list, one);
    }
    json_put_text(object, "sae", t->subject.name);
    json_put_count(object, "token", (uint64_t)token);
    json_put_number(object, "logit", a->logit);
    json_put_number(object, "probability", a->probability);
    json_put_count(object, "likeliest", (uint64_t)a->likeliest);
    json_put(object, "features", list);
    json_put_count(object, "with_both", g.both);
    json_put_count(object, "same_sign", g.same_sign);
    json_put_number(object, "rank_correlation", g.ranks);
    shown_json(object, 7);
}

static void tell_progress(void *arg, size_t passes, size_t all)
{
    if (pace_due(arg, 1, passes == all))
        pace_tell(arg, passes == all, "%zu of %zu features taken out", passes, all);
}

static int attribute(struct trace *t, struct lens *lens, const struct firing *f, int32_t token)
{
    struct attributions a;
    struct pace pace = {.begun = time(NULL)};
    struct attribution_watch watch = {tell_progress, &pace};
    int result = attribution_make(&t->subject, lens, 0, f, token, t->top, &watch, &a);
    if (result != ERR_OK) return result;
    if (t->json)
        print_effects_json(t, &a, token);
    else
        print_effects(t, &a, token);
    free(a.of);
    return ERR_OK;
}

int trace_next(struct trace *t, const char *prompt, const char *next)
{
    struct firing f;
    struct lens lens;
    int32_t token = 0;
    int result = subject_is_dictionary(&t->subject, "attribution");
    if (result == ERR_OK) result = token_of(t, next, &token);
    if (result != ERR_OK) return result;
    result = firing_make(&t->subject, t->player, &t->hooks, prompt, t->most_tokens, &f);
    if (result != ERR_OK) return result;
    result = lens_open(t->player, &t->hooks, t->last_hook, &lens);
    if (result == ERR_OK) {
        result = attribute(t, &lens, &f, token);
        lens_close(&lens);
    }
    firing_free(&f);
    return result;
}
