#include "trainer/metadata.h"

#include "trainer/changes.h"
#include "trainer/whitening.h"

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

static json_t *hooks(const struct descriptor *d)
{
    json_t *list = json_array();
    for (uint32_t h = 0; h < d->hooks; h++) {
        json_t *hook = json_object();
        put_text(hook, "name", d->hook[h].name);
        put_count(hook, "width", d->hook[h].width);
        put_number(hook, "folded_scale", d->hook[h].scale);
        put_number(hook, "norm_median", d->hook[h].norm_median);
        put_number(hook, "norm_limit", d->hook[h].norm_limit > 0 ? d->hook[h].norm_limit : NAN);
        json_array_append_new(list, hook);
    }
    return list;
}

static const char *dtype_text(uint8_t dtype)
{
    if (dtype == DTYPE_F32) return "float32";
    return dtype == DTYPE_BF16 ? "bfloat16" : "int8";
}

static void put_rows(const struct training *t, json_t *m)
{
    const struct descriptor *d = &t->plan.descriptor;
    put_text(m, "dataset_path", t->config->stream.dataset);
    put_text(m, "model_file", d->model);
    put_text(m, "engine", d->engine);
    put_text(m, "model_precision", d->precision);
    put_text(m, "model_source_precision", d->source_precision);
    put(m, "model_layers_kept", d->layers_kept ? json_integer(d->layers_kept) : json_null());
    put_number(m, "model_prepared_fve", d->prepared_fve != 0 ? d->prepared_fve : NAN);
    put_text(m, "row_dtype", dtype_text(d->dtype));
    put(m, "hooks", hooks(d));
    put_number(m, "max_norm_ratio", d->max_norm_ratio > 0 ? d->max_norm_ratio : NAN);
    put(m, "keeps_special_tokens", json_boolean(d->keep_special));
    put(m, "keeps_first_tokens", json_boolean(d->keep_sinks));
    put(m, "sheds_under_load", json_boolean(d->shed));
    put_count(m, "held_out_one_in", d->held_out_one_in);
}

json_t *metadata_of(const struct training *t, uint32_t i)
{
    json_t *m = json_object();
    if (!m) return NULL;
    put_text(m, "sluice_version", SLUICE_VERSION);
    put_text(m, "stream", t->plan.descriptor.stream);
    put_text(m, "sae", t->config->trainer.saes[i].name);
    put_training(t, i, m);
    put_quality(t, i, m);
    put_rows(t, m);
    if (t->whiten) put(m, "whitening", whitening_json(t));
    return m;
}
