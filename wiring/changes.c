#include "wiring/changes.h"

#include "base/err.h"
#include "base/json_put.h"
#include "runtime/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What sae_load() lets differ, as far as it means something to the architecture. */
static json_t *settings_of_sae(const struct sae_options *o)
{
    json_t *s = json_object();
    enum sae_arch kind = sae_activation(o);
    if (kind == SAE_COUNT) return s;
    json_put(s, "lr", json_real(o->learning_rate));
    json_put(s, "decoder_lr_factor", json_real(o->decoder_lr_factor));
    json_put(s, "warmup", json_real(o->warmup));
    json_put(s, "decay", json_real(o->decay));
    json_put(s, "clip_norm", json_real(o->clip_norm));
    json_put_count(s, "dead_window_rows", o->dead_window_rows);
    if (sae_keeps_largest(o)) {
        json_put(s, "aux_coefficient", json_real(o->aux_coefficient));
        return s;
    }
    json_put(s, "lambda", json_real(o->lambda));
    json_put(s, "lambda_ramp", json_real(o->lambda_ramp));
    json_put(s, "target_l0", json_real(o->target_l0));
    if (kind != SAE_JUMPRELU) return s;
    json_put(s, "bandwidth", json_real(o->bandwidth));
    json_put(s, "pre_act_coefficient", json_real(o->pre_act_coefficient));
    return s;
}

json_t *changes_settings_of(const struct sae_options *options, uint32_t count)
{
    json_t *saes = json_array(), *trainer = json_object();
    for (uint32_t i = 0; i < count; i++) json_array_append_new(saes, settings_of_sae(&options[i]));
    if (count > 0) json_put_count(trainer, "batch_rows", options[0].batch_rows);
    return json_pack("{s:o, s:o}", "trainer", trainer, "saes", saes);
}

int changes_settings(const struct config *config, const struct plan *plan, const char *kernels,
                     json_t **settings)
{
    const struct config_trainer *c = &config->trainer;
    json_t *all = changes_settings_of(plan->sae, plan->saes);
    json_t *trainer = json_object_get(all, "trainer");
    if (!trainer) {
        json_decref(all);
        return err_set(ERR_NOMEM, "no memory for the settings");
    }
    json_put_count(trainer, "batch_rows", plan->batch_rows);
    json_put_count(trainer, "planned_rows", plan->planned_rows);
    json_put_count(trainer, "stop_rows", c->stop_rows);
    json_put_count(trainer, "min_rows", c->min_rows);
    json_put_count(trainer, "active_size", c->active_bytes);
    json_put_count(trainer, "eval_rows", c->eval_rows);
    json_put(trainer, "kernels", json_string(kernels));
    json_put(trainer, "sluice_version", json_string(SLUICE_VERSION));
    json_put(trainer, "model_name", json_string(config->stream.model_name));
    json_put(trainer, "dataset", json_string(config->stream.dataset));
    for (uint32_t i = 0; i < plan->saes; i++) {
        json_t *sae = json_array_get(json_object_get(all, "saes"), i);
        json_put(sae, "name", json_string(c->saes[i].name));
        json_put(sae, "hooks", view_names(&plan->view[i], &plan->descriptor));
    }
    *settings = all;
    return ERR_OK;
}

static int is_of(const json_t *change, int sae)
{
    const json_t *of = json_object_get(change, "sae");
    return sae == CHANGES_OF_TRAINER ? !json_is_integer(of)
                                     : json_is_integer(of) && json_integer_value(of) == sae;
}

static int is_from(const json_t *change, uint64_t steps)
{
    return (uint64_t)json_integer_value(json_object_get(change, "from_step")) == steps;
}

/* Where the change of this key and step stands; json_array_size(): nowhere. */
static size_t place_of(const json_t *changes, int sae, const char *key, uint64_t steps)
{
    size_t i;
    json_t *change;
    json_array_foreach(changes, i, change)
    {
        const char *other = json_string_value(json_object_get(change, "key"));
        if (other && strcmp(other, key) == 0 && is_of(change, sae) && is_from(change, steps)) break;
    }
    return i;
}

static int add_one(json_t *changes, int sae, const char *key, json_t *then, json_t *now,
                   uint64_t steps, uint64_t rows)
{
    size_t place = place_of(changes, sae, key, steps);
    json_t *same = json_array_get(changes, place);
    if (same) then = json_object_get(same, "old");
    if (json_equal(then, now)) return same ? json_array_remove(changes, place) : 0;
    if (same) return json_object_set(same, "new", now);
    json_t *of = sae == CHANGES_OF_TRAINER ? json_null() : json_integer(sae);
    return json_array_append_new(changes,
                                 json_pack("{s:o, s:s, s:I, s:I, s:O, s:O}", "sae", of, "key", key,
                                           "from_step", (json_int_t)steps, "from_rows",
                                           (json_int_t)rows, "old", then, "new", now));
}

static int add_those_of(json_t *changes, int sae, const json_t *then, json_t *now, uint64_t steps,
                        uint64_t rows)
{
    const char *key;
    json_t *value;
    int failed = 0;
    json_object_foreach(now, key, value)
    {
        json_t *old = json_object_get(then, key);
        if (old) failed |= add_one(changes, sae, key, old, value, steps, rows);
    }
    return failed;
}

int changes_add(json_t *changes, const json_t *then, const json_t *now, uint64_t steps,
                uint64_t rows)
{
    json_t *saes = json_object_get(now, "saes"), *sae;
    size_t i;
    int failed = add_those_of(changes, CHANGES_OF_TRAINER, json_object_get(then, "trainer"),
                              json_object_get(now, "trainer"), steps, rows);
    json_array_foreach(saes, i, sae)
    {
        const json_t *before = json_array_get(json_object_get(then, "saes"), i);
        failed |= add_those_of(changes, (int)i, before, sae, steps, rows);
    }
    return failed ? err_set(ERR_NOMEM, "no memory for the changed settings") : ERR_OK;
}

json_t *changes_of(const json_t *changes, int sae)
{
    json_t *list = json_array(), *change;
    size_t i;
    json_array_foreach(changes, i, change)
    {
        if (is_of(change, sae)) json_array_append(list, change);
    }
    return list;
}

void changes_log(const json_t *changes, uint64_t steps)
{
    size_t i;
    json_t *change;
    json_array_foreach(changes, i, change)
    {
        if (!is_from(change, steps)) continue;
        char *was =
            json_dumps(json_object_get(change, "old"), JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        char *is =
            json_dumps(json_object_get(change, "new"), JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        int of_trainer = is_of(change, CHANGES_OF_TRAINER);
        log_event(
            LOG_INFO, "setting changed",
            LOG_S("key", json_string_value(json_object_get(change, "key"))),
            LOG_I("sae", of_trainer ? -1 : json_integer_value(json_object_get(change, "sae"))),
            LOG_S("was", was ? was : ""), LOG_S("is", is ? is : ""), LOG_U("from_step", steps));
        free(was);
        free(is);
    }
}
