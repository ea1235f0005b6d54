/* The SAEs, features and model that `sluice steer` is told. */
#include "base/err.h"
#include "cli/steer.h"
#include "cli/subject.h"
#include "inspect/index.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- SAEs ---- */

/* "upper=runs/b#topk-4608-k32": what features call it, its path, and which one of several it is. */
struct told {
    char name[SUBJECT_NAME_BYTES], path[SUBJECT_PATH_BYTES], of[SUBJECT_NAME_BYTES];
};

static int parse_with(const char *text, struct told *t)
{
    size_t name = strcspn(text, "=/"), length = strlen(text);
    *t = (struct told){0};
    if (text[name] == '=') {
        snprintf(t->name, sizeof t->name, "%.*s", (int)name, text);
        text += name + 1;
        length -= name + 1;
    }
    const char *mark = access(text, F_OK) == 0 ? NULL : strrchr(text, '#');
    if (mark) {
        snprintf(t->of, sizeof t->of, "%s", mark + 1);
        length = (size_t)(mark - text);
    }
    if (length == 0 || length >= sizeof t->path || name >= sizeof t->name)
        return err_set(ERR_USAGE, "--with %.80s: HINT: [NAME=]SAE, or [NAME=]RUN#SAE", text);
    memcpy(t->path, text, length);
    return ERR_OK;
}

/* As FILE is opened, with its threads; the options that say more about FILE are not this one's. */
static int open_with(struct steer *s, const char *text, struct subject *subject, struct told *t)
{
    struct options options = *s->options;
    const char *threads = options_get(s->options, "threads");
    int result = parse_with(text, t);
    if (result != ERR_OK) return result;
    options.file = t->path;
    options.sets_count = options.values_count = 0;
    if (threads) options.values[options.values_count++] = (struct option_value){"threads", threads};
    if (t->of[0]) options.values[options.values_count++] = (struct option_value){"sae", t->of};
    result = subject_open(&options, subject);
    return result == ERR_OK ? result : err_set(result, "--with %s: %s", text, err_text());
}

static int add(struct steer *s, const char *name)
{
    struct subject *subject = &s->subject[s->subjects++];
    return steering_add(&s->steering, subject, name && name[0] ? name : subject->name);
}

static int open_saes(struct steer *s)
{
    const char *with;
    struct told told;
    int result = subject_open(s->options, &s->subject[0]);
    if (result == ERR_OK) result = add(s, NULL);
    for (size_t i = 0; result == ERR_OK && (with = options_get_nth(s->options, "with", i)); i++) {
        if (s->subjects == STEERING_MOST)
            return err_set(ERR_USAGE, "over %d autoencoders; HINT: leave a --with out",
                           STEERING_MOST);
        result = open_with(s, with, &s->subject[s->subjects], &told);
        if (result == ERR_OK) result = add(s, told.name);
    }
    if (result != ERR_OK) return result;
    result = steering_same_model(&s->steering);
    if (result == ERR_OK || !options_get(s->options, "model")) return result;
    fprintf(stderr, "sluice: WARNING: %s\n", err_text()); /* the model that runs is told */
    return ERR_OK;
}

/* ---- features ---- */

/* The largest activations that the index has seen, of those that nobody told. */
static int take_largest(const struct index *index, struct clamps *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct clamp *clamp = &c->clamp[i];
        uint32_t f = clamp->feature;
        if (f >= index->facts.features) continue;
        if (!isnan(clamp->largest)) continue;
        if (index->entry[f].largest > 0)
            clamp->largest = (double)index->entry[f].largest;
        else if (!clamp->is_value)
            return err_set(ERR_USAGE,
                           "feature %u never fires in %s; HINT: --max %u=ACTIVATION, or another "
                           "feature",
                           f, index->folder, f);
    }
    return ERR_OK;
}

static int read_index(struct steer *s, const char *folder)
{
    struct index index;
    uint32_t i = 0;
    int result = index_open(folder, &index);
    if (result != ERR_OK) return result;
    while (i < s->subjects && s->subject[i].fingerprint != index.facts.fingerprint) i++;
    if (i == s->subjects)
        result = err_set(ERR_USAGE,
                         "%s is the index of another SAE than %s%s; HINT: `sluice inspect` makes "
                         "this one's",
                         folder, s->subject[0].name, s->subjects > 1 ? " and the others" : "");
    if (result == ERR_OK) result = take_largest(&index, &s->steering.of[i]);
    if (result == ERR_OK) {
        labels_free(&s->labels[i]);
        result = labels_read(folder, index.facts.features, &s->labels[i]);
    }
    index_close(&index);
    return result;
}

/* One that is told in times of its largest activation, which nobody told. */
static int check_largest(const struct steer *s)
{
    for (uint32_t i = 0; i < s->steering.count; i++) {
        const struct clamps *c = &s->steering.of[i];
        for (uint32_t k = 0; k < c->count; k++)
            if (!c->clamp[k].is_value && isnan(c->clamp[k].largest))
                return err_set(
                    ERR_USAGE,
                    "feature %u: how many times its largest activation is told, and not what that "
                    "is; HINT: --index DIR of `sluice inspect`, --max %u=ACTIVATION, or an "
                    "absolute value: --features %u=30",
                    c->clamp[k].feature, c->clamp[k].feature, c->clamp[k].feature);
    }
    return ERR_OK;
}

/* A sweep of values needs no largest activations; where an index tells them, labels are taken all the
 * same. */
static void make_absolute(struct steering *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        for (uint32_t k = 0; k < s->of[i].count; k++) s->of[i].clamp[k].is_value = 1;
}

static int read_features(struct steer *s)
{
    const char *features = options_get(s->options, "features"), *folder;
    const char *largest = options_get(s->options, "max"), *sweep = options_get(s->options, "sweep");
    if (!features)
        return err_set(ERR_USAGE, "no feature to steer; HINT: --features 123=4x --max 123=7.5");
    int result = sweep ? strengths_parse(sweep, &s->strengths) : ERR_OK;
    if (result == ERR_OK) result = steering_parse(features, sweep != NULL, &s->steering);
    if (result == ERR_OK && sweep && !s->strengths.are_times) make_absolute(&s->steering);
    if (result == ERR_OK && largest) result = steering_parse_largest(largest, &s->steering);
    for (size_t i = 0; result == ERR_OK && (folder = options_get_nth(s->options, "index", i)); i++)
        result = read_index(s, folder);
    return result == ERR_OK ? check_largest(s) : result;
}

/* ---- the model ---- */

static int open_player(struct steer *s)
{
    char model[SUBJECT_PATH_BYTES];
    struct llama_runner_options options = {.path = model};
    struct llama_facts facts;
    int result = subject_threads(s->options, &options.threads);
    if (result == ERR_OK) result = subject_model(s->options, &s->subject[0], model);
    if (result == ERR_OK) result = subject_try(&options, &s->hooks, STEER_MOST_TOKENS, &facts);
    if (result == ERR_OK) result = llama_player_open(&options, &s->hooks, &s->player);
    return result == ERR_OK ? steering_check_widths(&s->steering, &s->hooks) : result;
}

int steer_read(struct steer *s)
{
    int result = open_saes(s);
    return result == ERR_OK ? read_features(s) : result;
}

int steer_open(struct steer *s)
{
    int result = steer_read(s);
    if (result == ERR_OK) result = steering_hooks(&s->steering, &s->hooks);
    if (result == ERR_OK) result = steer_check_export(s);
    return result == ERR_OK ? open_player(s) : result;
}

void steer_close(struct steer *s)
{
    llama_player_close(s->player);
    for (uint32_t i = 0; i < s->subjects; i++) {
        labels_free(&s->labels[i]);
        subject_close(&s->subject[i]);
    }
    free(s->prompt);
    free(s->spared);
}
