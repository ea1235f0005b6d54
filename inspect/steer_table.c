#include "inspect/steer_table.h"

#include "base/err.h"
#include "engine/fingerprint.h"
#include "engine/llama_hooks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int copy_text(char *out, size_t bytes, const char *what, const char *text)
{
    if (snprintf(out, bytes, "%s", text) < (int)bytes) return ERR_OK;
    return err_set(ERR_LIMIT, "%s \"%.60s...\" is too long to steer by", what, text);
}

static int name_hook(const struct subject *s, struct steer_facts *f)
{
    struct llama_hooks hooks = {0};
    const char *name = s->hook[0];
    int result = llama_hooks_parse(&name, 1, &hooks);
    if (result == ERR_OK && hooks.hook[0].point != POINT_NODE)
        result =
            err_set(ERR_USAGE,
                    "%s is a part of a layer, and a running program can be steered at whole nodes "
                    "alone; HINT: an SAE of resid_post",
                    name);
    if (result == ERR_OK) result = copy_text(f->hook, sizeof f->hook, "hook", name);
    return result == ERR_OK ? copy_text(f->node, sizeof f->node, "node", hooks.hook[0].node)
                            : result;
}

static enum steer_rule rule_of(const struct clamps *c)
{
    const struct encoder *e = c->subject->model.encoder;
    if (c->adds) return STEER_ADD;
    if (e->w.r_mag) return STEER_GATED;
    return e->arch->way == WAY_ROWS ? STEER_LARGEST : STEER_ABOVE;
}

static int take_facts(const struct clamps *c, const char *features, int is_every,
                      struct steer_facts *f)
{
    const struct subject *s = c->subject;
    *f = (struct steer_facts){
        .version = STEER_VERSION,
        .rule = rule_of(c),
        .width = s->width,
        .clamps = c->count,
        .k = s->model.encoder->options->k,
        .steers_special = (uint32_t)is_every,
        .steers_first = (uint32_t)is_every,
        .limit = is_every ? 0 : s->hook_limit[0],
    };
    memcpy(f->magic, STEER_MAGIC, sizeof f->magic);
    if (f->rule != STEER_ADD) /* of the largest of a row, all must be known */
        f->encoders = f->rule == STEER_LARGEST ? subject_features(s) : c->count;
    for (uint32_t i = 0; i < c->count; i++)
        f->clamp[i] = (struct steer_clamp){
            .feature = c->clamp[i].feature,
            .encoder = f->rule == STEER_LARGEST ? c->clamp[i].feature : i,
            .value = (float)clamp_value(&c->clamp[i]),
            .times = (float)clamp_times(&c->clamp[i]),
        };
    int result = name_hook(s, f);
    if (result == ERR_OK) result = copy_text(f->sae, sizeof f->sae, "SAE", s->name);
    return result == ERR_OK ? copy_text(f->features, sizeof f->features, "features", features)
                            : result;
}

/* What is taken off a row before it is encoded goes into the bias. */
static float bias_of(const struct encoder *e, uint32_t f)
{
    double bias = (double)e->w.b_enc[f];
    const float *w = e->w.w_enc + (size_t)f * e->width_in;
    for (uint32_t i = 0; e->subtracts && i < e->width_in; i++)
        bias -= (double)w[i] * (double)e->w.b_dec[i];
    return (float)bias;
}

static void take_encoder(const struct encoder *e, uint32_t feature, struct steer_table *t,
                         uint32_t at)
{
    uint32_t width = t->facts->width;
    memcpy(t->w + (size_t)at * width, e->w.w_enc + (size_t)feature * width, width * sizeof *t->w);
    t->b[at] = bias_of(e, feature);
    t->threshold[at] = e->threshold ? e->threshold[feature] : 0;
    if (!e->w.r_mag) return;
    /* z = exp(r) (y - b_enc) + b_mag, y with b_enc in it (sae/arch/gated.c) */
    t->scale[at] = expf(e->w.r_mag[feature]);
    t->magnitude[at] =
        (float)((double)e->w.b_mag[feature] - (double)t->scale[at] * (double)e->w.b_enc[feature]);
}

static void fill(const struct clamps *c, struct steer_table *t)
{
    const struct encoder *e = c->subject->model.encoder;
    const struct steer_facts *f = t->facts;
    for (uint32_t i = 0; i < f->encoders; i++)
        take_encoder(e, f->rule == STEER_LARGEST ? i : f->clamp[i].feature, t, i);
    for (uint32_t i = 0; i < f->clamps; i++)
        memcpy(t->directions + (size_t)i * f->width,
               subject_direction(c->subject, f->clamp[i].feature), f->width * sizeof(float));
}

int steer_table_make(const struct clamps *c, const char *features, int is_every, void **data,
                     size_t *bytes)
{
    struct steer_facts facts;
    struct steer_table table;
    int result = subject_is_dictionary(c->subject, "steering");
    if (result == ERR_OK) result = take_facts(c, features, is_every, &facts);
    if (result != ERR_OK) return result;
    *bytes = steer_bytes(&facts);
    *data = calloc(1, *bytes);
    if (!*data) return err_set(ERR_NOMEM, "no memory for %zu bytes to steer by", *bytes);
    memcpy(*data, &facts, sizeof facts);
    steer_lay(*data, &table);
    fill(c, &table);
    table.facts->setting = fingerprint_add(0, *data, *bytes) | 1; /* 0: not steered */
    return ERR_OK;
}
