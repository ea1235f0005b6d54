#include "trainer/metadata.h"

#include "base/json_put.h"
#include "trainer/whitening.h"
#include "wiring/provenance.h"

#include <math.h>

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
    struct provenance_training p = {
        .options = sae_options(t->sae[i]),
        .rows = t->rows,
        .planned_rows = t->is_finishing ? t->decay.end_rows : t->plan.planned_rows,
        .steps = sae_steps(t->sae[i]),
        .skipped = sae_skipped(t->sae[i]),
        .shuffle_seed = t->config->trainer.seed,
        .known_from_steps = t->known_from_steps,
        .batch_rows = t->plan.batch_rows,
        .reuse = t->config->trainer.reuse,
        .settings = t->settings,
        .changes = t->changes,
    };
    provenance_put_training(m, &p, i);
    json_put(m, "training_unique_tokens", unique_rows(t));
}

static void put_quality(const struct training *t, uint32_t i, json_t *m)
{
    const struct sae_eval *e = &t->eval[i];
    const struct sae_options *o = sae_options(t->sae[i]);
    struct history_point p = training_point(t, i);
    uint32_t dead = training_dead(t, i);
    int dead_is_known = t->rows >= o->dead_window_rows;
    json_put_number(m, "fve", p.fve);
    json_put_number(m, "mse", p.mse);
    json_put_number(m, "l0", e->rows ? e->l0 : NAN);
    json_put_number(m, "l1", e->rows ? e->l1 : NAN);
    json_put_count(m, "evaluated_tokens", e->rows);
    json_put(m, "dead_features", dead_is_known ? json_integer(dead) : json_null());
    json_put_number(m, "dead_share", dead_is_known ? dead / (double)o->features : NAN);
    json_put_count(m, "dead_window_tokens", o->dead_window_rows);
}

json_t *metadata_of(const struct training *t, uint32_t i, const struct whiten *whiten)
{
    json_t *m = json_object();
    if (!m) return NULL;
    json_put_text(m, "sae", t->config->trainer.saes[i].name);
    put_training(t, i, m);
    put_quality(t, i, m);
    provenance_put(m, &t->plan.descriptor, &t->plan.view[i], t->config->stream.dataset);
    if (whiten) json_put(m, "whitening", whiten_json(whiten));
    return m;
}
