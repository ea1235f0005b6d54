#include "trainer/metadata.h"

#include "trainer/changes.h"
#include "trainer/whitening.h"
#include "wiring/provenance.h"

#include <math.h>

static void put(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

/* JSON knows no infinity; null: not known. */
static void put_number(json_t *object, const char *key, double x)
{
    put(object, key, isfinite(x) ? json_real(x) : json_null());
}

static void put_count(json_t *object, const char *key, uint64_t n)
{
    put(object, key, json_integer((json_int_t)n));
}

static void put_text(json_t *object, const char *key, const char *text)
{
    json_t *string = text && text[0] ? json_string(text) : NULL;
    put(object, key, string ? string : json_null());
}

/* Rows that it saw at least once. Not known where draws were skipped: which ones nobody counts. */
static json_t *unique_rows(const struct training *t)
{
    uint32_t reuse = t->config->trainer.reuse;
    if (reuse > 1 && (draw_gauges(t->draw).rows_skipped > 0 || t->rows % reuse != 0))
        return json_null();
    return json_integer((json_int_t)(t->rows / reuse));
}

static void put_training(const struct training *t, uint32_t i, json_t *m)
{
    const struct sae_options *o = sae_options(t->sae[i]);
    put_text(m, "training_architecture", sae_arch_name(o->arch));
    put_text(m, "training_activation", sae_arch_name(sae_activation(o)));
    put_count(m, "training_tokens", t->rows);
    put(m, "training_unique_tokens", unique_rows(t));
    put_count(m, "training_reuse", t->config->trainer.reuse);
    put_count(m, "training_planned_tokens", t->plan.planned_rows);
    put_count(m, "training_steps", sae_steps(t->sae[i]));
    put_count(m, "training_skipped_steps", sae_skipped(t->sae[i]));
    put_count(m, "training_batch_rows", t->plan.batch_rows);
    put_count(m, "training_seed", o->seed);
    put_count(m, "training_shuffle_seed", t->config->trainer.seed);
    put(m, "training_settings",
        json_deep_copy(json_array_get(json_object_get(t->settings, "saes"), i)));
    json_t *changes = changes_of(t->changes, CHANGES_OF_TRAINER),
           *own = changes_of(t->changes, (int)i);
    json_array_extend(changes, own);
    json_decref(own);
    put(m, "training_changes", changes);
    put_count(m, "training_changes_known_from_step", t->known_from_steps);
}

static void put_quality(const struct training *t, uint32_t i, json_t *m)
{
    const struct sae_eval *e = &t->eval[i];
    const struct sae_options *o = sae_options(t->sae[i]);
    struct history_point p = training_point(t, i);
    uint32_t dead = training_dead(t, i);
    int dead_is_known = t->rows >= o->dead_window_rows;
    put_number(m, "fve", p.fve);
    put_number(m, "mse", p.mse);
    put_number(m, "l0", e->rows ? e->l0 : NAN);
    put_number(m, "l1", e->rows ? e->l1 : NAN);
    put_count(m, "evaluated_tokens", e->rows);
    put(m, "dead_features", dead_is_known ? json_integer(dead) : json_null());
    put_number(m, "dead_share", dead_is_known ? dead / (double)o->features : NAN);
    put_count(m, "dead_window_tokens", o->dead_window_rows);
}

json_t *metadata_of(const struct training *t, uint32_t i)
{
    json_t *m = json_object();
    if (!m) return NULL;
    put_text(m, "sae", t->config->trainer.saes[i].name);
    put_training(t, i, m);
    put_quality(t, i, m);
    provenance_put(m, &t->plan.descriptor, t->config->stream.dataset);
    if (t->whiten) put(m, "whitening", whitening_json(t));
    return m;
}
