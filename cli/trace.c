/*
 * `sluice trace`: which features fire at the tokens of a prompt, which tell two sets of prompts
 * apart, which push towards a next token.
 */
#include "cli/trace.h"

#include "base/err.h"
#include "base/json_put.h"
#include "cli/commands.h"
#include "cli/labelled.h"
#include "cli/shown.h"
#include "cli/subject.h"
#include "inspect/lens.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAR_COLUMNS = 10 };

void trace_token(const struct trace *t, int32_t token, char *out)
{
    char text[TRACE_TEXT_BYTES];
    size_t n = llama_runner_text(llama_player_runner(t->player), token, text, sizeof text);
    if (n >= sizeof text) n = sizeof text - 1;
    if (n == 0)
        snprintf(out, TRACE_TEXT_BYTES, "#%" PRId32, token);
    else
        shown_text(text, n, out, TRACE_TEXT_BYTES);
}

/* ---- a prompt ---- */

/* The largest value of a token that counts: those of an attention sink are another story. */
static double largest(const struct firing *f)
{
    double most = 0;
    for (uint64_t row = 0; row < f->pairs.rows; row++)
        for (uint64_t i = f->pairs.start[row]; i < f->pairs.start[row + 1] && !f->left_out[row];
             i++)
            if ((double)f->pairs.value[i] > most) most = (double)f->pairs.value[i];
    return most;
}

static void print_token(const struct trace *t, const struct firing *f, uint32_t row, double most)
{
    struct firing_at top[TRACE_MOST_TOP];
    char token[TRACE_TEXT_BYTES], bar[64], label[LABELLED_BYTES];
    uint32_t n = firing_strongest(f, row, t->top, top);
    trace_token(t, f->tokens[row], token);
    double first = n && most > 0 && !f->left_out[row] ? (double)top[0].value / most : 0;
    printf("%4" PRIu32 "  %s%-16s%s %5" PRIu64 " ", row, shown_heat(t->colour, first), token,
           shown_plain(t->colour), f->pairs.start[row + 1] - f->pairs.start[row]);
    if (f->left_out[row]) printf("  (left out of trainings: the first, special or too large)");
    for (uint32_t i = 0; i < n && !f->left_out[row]; i++) {
        shown_bar((double)top[i].value / most, BAR_COLUMNS, bar, sizeof bar);
        labelled_text(&t->labels, top[i].feature, label);
        printf("  %" PRIu32 "%s %.3g %s", top[i].feature, label, (double)top[i].value,
               i ? "" : bar);
    }
    putchar('\n');
}

static json_t *token_json(const struct trace *t, const struct firing *f, uint32_t row)
{
    struct firing_at top[TRACE_MOST_TOP];
    char token[TRACE_TEXT_BYTES];
    uint32_t n = firing_strongest(f, row, t->top, top);
    json_t *features = json_array(), *object = json_object();
    for (uint32_t i = 0; i < n; i++) {
        json_t *one = json_object();
        json_put_count(one, "feature", top[i].feature);
        json_put_number(one, "value", (double)top[i].value);
        json_put_text(one, "label", labels_of(&t->labels, top[i].feature));
        json_array_append_new(features, one);
    }
    trace_token(t, f->tokens[row], token);
    json_put_count(object, "token", (uint64_t)f->tokens[row]);
    json_put_text(object, "text", token);
    json_put(object, "left_out", json_boolean(f->left_out[row]));
    json_put_count(object, "active", f->pairs.start[row + 1] - f->pairs.start[row]);
    json_put(object, "features", features);
    return object;
}

static void print_firing(const struct trace *t, const struct firing *f)
{
    double most = largest(f);
    printf("%s, %s; each token's %" PRIu32 " strongest features and their values\n\n",
           t->subject.name, t->subject.hook[0], t->top);
    printf("%4s  %-16s %5s   feature value\n", "", "token", "fires");
    for (uint32_t row = 0; row < f->count; row++) print_token(t, f, row, most);
}

int trace_prompt(struct trace *t, const char *prompt, const char *html)
{
    struct firing f;
    int result = firing_make(&t->subject, t->player, &t->hooks, prompt, t->most_tokens, &f);
    if (result != ERR_OK) return result;
    if (html) result = trace_write_html(t, &f, html);
    if (result == ERR_OK && t->json) {
        json_t *tokens = json_array();
        for (uint32_t row = 0; row < f.count; row++)
            json_array_append_new(tokens, token_json(t, &f, row));
        shown_json(json_pack("{s:s, s:s, s:o}", "sae", t->subject.name, "hook", t->subject.hook[0],
                             "tokens", tokens),
                   7);
    } else if (result == ERR_OK && !html) {
        print_firing(t, &f);
    } else if (result == ERR_OK) {
        printf("%s\n", html);
    }
    firing_free(&f);
    return result;
}

/* ---- opening ---- */

/* The subject's hooks, and the last layer's beside them, which is known once a model is open. */
static int open_player(struct trace *t, const char *model, uint32_t threads, int with_last)
{
    struct llama_runner_options options = {.path = model, .threads = threads};
    const char *names[ROW_MAX_HOOKS + 1];
    char last[64];
    uint32_t count = t->subject.hooks;
    struct llama_facts facts;
    int result = firing_hooks(&t->subject, &t->hooks);
    if (result == ERR_OK) result = subject_try(&options, &t->hooks, TRACE_MOST_TOKENS, &facts);
    if (result != ERR_OK) return result;
    for (uint32_t h = 0; h < count; h++) names[h] = t->subject.hook[h];
    lens_hook(facts.layers, last);
    for (t->last_hook = 0; t->last_hook < count; t->last_hook++)
        if (t->hooks.hook[t->last_hook].point == POINT_NODE &&
            t->hooks.hook[t->last_hook].layer == facts.layers - 1 &&
            strncmp(t->hooks.hook[t->last_hook].node, "l_out", 5) == 0)
            break;
    if (with_last && t->last_hook == count && count == ROW_MAX_HOOKS)
        return err_set(ERR_USAGE, "%s has too many hooks for this", t->subject.name);
    if (with_last && t->last_hook == count) names[count++] = last;
    result = llama_hooks_parse(names, count, &t->hooks);
    t->most_tokens = options.context_tokens;
    return result == ERR_OK ? llama_player_open(&options, &t->hooks, &t->player) : result;
}

static int choose_way(const struct options *o, const char **prompt, const char **these,
                      const char **against, const char **next)
{
    *prompt = options_get(o, "prompt");
    *these = options_get(o, "prompts");
    *against = options_get(o, "against");
    *next = options_get(o, "next");
    if (*prompt && (*these || *against))
        return err_set(ERR_USAGE, "--prompt is one prompt, --prompts and --against are files of "
                                  "them; HINT: leave one of them out");
    if (!*prompt && !(*these && *against))
        return err_set(ERR_USAGE, "nothing to trace; HINT: --prompt TEXT, or --prompts FILE and "
                                  "--against FILE, a prompt per line");
    if (*next && !*prompt) return err_set(ERR_USAGE, "--next goes with --prompt");
    if (options_get(o, "html") && (*next || !*prompt))
        return err_set(ERR_USAGE, "--html goes with --prompt alone");
    return ERR_OK;
}

int trace_command(const struct options *options, const struct config *config)
{
    (void)config;
    struct trace t = {.options = options};
    const char *prompt, *these, *against, *next, *index = options_get(options, "index");
    char model[SUBJECT_PATH_BYTES];
    uint32_t threads = 0;
    long long top;
    int result = choose_way(options, &prompt, &these, &against, &next);
    if (result == ERR_OK)
        result = options_number(options, "top", 1, TRACE_MOST_TOP, next || these ? 20 : 3, &top);
    if (result == ERR_OK) result = subject_threads(options, &threads);
    if (result == ERR_OK) result = subject_open(options, &t.subject);
    if (result != ERR_OK) return result;
    t.top = (uint32_t)top;
    t.json = options_get(options, "json") != NULL;
    t.colour = shown_colour(stdout);
    result = index ? labelled_open(index, &t.subject, &t.labels) : ERR_OK;
    if (result == ERR_OK) result = subject_model(options, &t.subject, model);
    if (result == ERR_OK) result = open_player(&t, model, threads, next != NULL);
    if (result == ERR_OK && these)
        result = trace_groups(&t, these, against);
    else if (result == ERR_OK && next)
        result = trace_next(&t, prompt, next);
    else if (result == ERR_OK)
        result = trace_prompt(&t, prompt, options_get(options, "html"));
    llama_player_close(t.player);
    labels_free(&t.labels);
    subject_close(&t.subject);
    return result;
}
