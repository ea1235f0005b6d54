#include "inspect/steering.h"

#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

int steering_add(struct steering *s, struct subject *subject, const char *name)
{
    int result = subject_is_dictionary(subject, "steering");
    if (result != ERR_OK) return result;
    if (s->count == STEERING_MOST)
        return err_set(ERR_USAGE, "over %d autoencoders to steer by; HINT: leave one out",
                       STEERING_MOST);
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->of[i].subject->fingerprint == subject->fingerprint)
            return err_set(ERR_USAGE,
                           "%s is %s again, by its weights; HINT: several features of one "
                           "autoencoder go into --features, divided by commas",
                           name, s->name[i]);
        if (strcmp(s->name[i], name) == 0)
            return err_set(ERR_USAGE,
                           "two autoencoders are called %s; HINT: call this one otherwise: --with "
                           "upper=SAE",
                           name);
    }
    s->of[s->count] = (struct clamps){.subject = subject, .last = UINT32_MAX};
    snprintf(s->name[s->count++], sizeof s->name[0], "%.200s", name);
    return ERR_OK;
}

/* ---- one model ---- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static int differ(const struct subject *a, const struct subject *b)
{
    if (a->model_hash && b->model_hash) return a->model_hash != b->model_hash;
    if (!a->model_file[0] || !b->model_file[0]) return 0;
    return strcmp(last_part(a->model_file), last_part(b->model_file)) != 0;
}

int steering_same_model(const struct steering *s)
{
    for (uint32_t i = 1; i < s->count; i++) {
        const struct subject *a = s->of[0].subject, *b = s->of[i].subject;
        if (differ(a, b))
            return err_set(ERR_USAGE,
                           "%s and %s are of different models: %.200s and %.200s%s; HINT: --model "
                           "FILE.gguf where they are the same one after all",
                           s->name[0], s->name[i], a->model_file, b->model_file,
                           a->model_hash && b->model_hash ? " (by their hashes)" : "");
    }
    return ERR_OK;
}

/* ---- as features are told ---- */

/* The SAE that the text names in front of a colon, which *text goes behind; the first without one;
 * NULL: there is none of that name. */
static struct clamps *take_name(struct steering *s, const char **text)
{
    size_t longest = 0;
    struct clamps *found = NULL;
    for (uint32_t i = 0; i < s->count; i++) {
        size_t n = strlen(s->name[i]);
        if (n < longest || strncmp(*text, s->name[i], n) != 0 || (*text)[n] != ':') continue;
        longest = n;
        found = &s->of[i];
    }
    if (found) *text += longest + 1;
    if (found || **text == '\0' || strchr("0123456789", **text)) return found ? found : &s->of[0];
    return NULL;
}

static int no_such_name(const struct steering *s, const char *text)
{
    char names[1024] = "";
    for (uint32_t i = 0; i < s->count; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "",
                 s->name[i]);
    return err_set(ERR_USAGE,
                   "--features %.80s: HINT: FEATURE=TIMESx, as 123=4x, several divided by commas; "
                   "of another autoencoder than the first NAME:FEATURE=TIMESx, names being %s",
                   text, names);
}

static int wrong(const char *text, int is_shared)
{
    return err_set(ERR_USAGE, "--features %.80s: HINT: %s", text,
                   is_shared ? "with --sweep the strengths are told there: FEATURE, or "
                               "FEATURE=SHARE, as 123,77=-1, several divided by commas"
                             : "FEATURE=TIMESx, as 123=4x, several divided by commas");
}

static int add_clamp(struct clamps *to, const struct clamp *c, const char *name)
{
    uint32_t features = subject_features(to->subject);
    if (c->feature >= features)
        return err_set(ERR_USAGE, "feature %u: %s has 0 to %u; HINT: `sluice features list INDEX`",
                       c->feature, name, features - 1);
    if (clamp_find(to, c->feature))
        return err_set(ERR_USAGE, "--features: feature %u is given twice", c->feature);
    if (to->count == CLAMP_MOST)
        return err_set(ERR_USAGE, "--features: over %d features", CLAMP_MOST);
    to->clamp[to->count++] = *c;
    return ERR_OK;
}

/* An SAE that nothing is done by was named for nothing. */
static int check_use(const struct steering *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->of[i].count == 0)
            return err_set(ERR_USAGE,
                           "no feature of %s is steered; HINT: --features %s:123=4x, or leave it "
                           "out",
                           s->name[i], s->name[i]);
    return ERR_OK;
}

int steering_parse(const char *text, int is_shared, struct steering *s)
{
    const char *at = text;
    for (uint32_t i = 0; i < s->count; i++) s->of[i].count = 0;
    do {
        struct clamp c;
        struct clamps *to = take_name(s, &at);
        if (!to) return no_such_name(s, at);
        if (!clamp_take(&at, is_shared, &c) || (*at && *at != ',')) return wrong(text, is_shared);
        int result = add_clamp(to, &c, s->name[to - s->of]);
        if (result != ERR_OK) return result;
    } while (*at++ == ',');
    return check_use(s);
}

int steering_parse_largest(const char *text, struct steering *s)
{
    const char *at = text;
    do {
        uint32_t feature;
        double largest;
        struct clamps *of = take_name(s, &at);
        if (!of || !clamp_take_pair(&at, &feature, &largest) || !(largest > 0) ||
            (*at && *at != ','))
            return err_set(ERR_USAGE,
                           "--max %.80s: HINT: FEATURE=ACTIVATION, as 123=7.5, several divided by "
                           "commas",
                           text);
        struct clamp *c = clamp_find(of, feature);
        if (!c)
            return err_set(ERR_USAGE,
                           "--max: feature %u is not among --features; HINT: name it "
                           "there too",
                           feature);
        if (isnan(c->largest)) c->largest = largest;
    } while (*at++ == ',');
    return ERR_OK;
}

/* ---- hooks ---- */

int steering_hooks(const struct steering *s, struct llama_hooks *hooks)
{
    const char *names[STEERING_MOST];
    for (uint32_t i = 0; i < s->count; i++) names[i] = s->of[i].subject->hook[0];
    return llama_hooks_parse(names, s->count, hooks);
}

int steering_check_widths(const struct steering *s, const struct llama_hooks *hooks)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (hooks->hook[i].width != s->of[i].subject->width)
            return err_set(
                ERR_USAGE,
                "%s has rows of %u values at %s, and the model has %u; HINT: --model, the "
                "model that it was trained on",
                s->name[i], s->of[i].subject->width, hooks->hook[i].name, hooks->hook[i].width);
    return ERR_OK;
}

/* ---- how ---- */

void steering_set(struct steering *s, uint32_t first, uint32_t last, const uint8_t *spared,
                  int adds)
{
    for (uint32_t i = 0; i < s->count; i++) {
        s->of[i].first = first;
        s->of[i].last = last;
        s->of[i].spared = spared;
        s->of[i].adds = adds;
    }
}

void steering_scale(struct steering *s, const struct steering *from, double strength)
{
    *s = *from;
    for (uint32_t i = 0; i < s->count; i++) {
        for (uint32_t k = 0; k < s->of[i].count; k++) s->of[i].clamp[k].strength *= strength;
        if (strength == 0) s->of[i].count = 0;
    }
}
