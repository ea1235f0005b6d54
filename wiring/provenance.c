#include "wiring/provenance.h"

#include "base/err.h"
#include "base/json_put.h"
#include "base/row.h"
#include "wiring/changes.h"

#include <math.h>
#include <stdlib.h>

static json_t *hooks(const struct descriptor *d, const struct view *view)
{
    json_t *list = json_array();
    for (uint32_t h = 0; h < view->hooks; h++) {
        const struct descriptor_hook *of = &d->hook[view->place[h]];
        json_t *hook = json_object();
        json_put_text(hook, "name", of->name);
        json_put_count(hook, "width", of->width);
        json_put_number(hook, "folded_scale", of->scale);
        json_put_number(hook, "norm_median", of->norm_median);
        json_put_number(hook, "norm_limit", of->norm_limit > 0 ? of->norm_limit : NAN);
        json_array_append_new(list, hook);
    }
    return list;
}

static const char *dtype_text(uint8_t dtype)
{
    if (dtype == DTYPE_F32) return "float32";
    return dtype == DTYPE_BF16 ? "bfloat16" : "int8";
}

void provenance_put(json_t *m, const struct descriptor *d, const struct view *view,
                    const char *dataset)
{
    json_put_text(m, "sluice_version", SLUICE_VERSION);
    json_put_text(m, "stream", d->stream);
    json_put_text(m, "dataset_path", dataset);
    json_put_text(m, "model_file", d->model);
    json_put_text(m, "engine", d->engine);
    json_put_text(m, "model_precision", d->precision);
    json_put_text(m, "model_source_precision", d->source_precision);
    json_put(m, "model_layers_kept", d->layers_kept ? json_integer(d->layers_kept) : json_null());
    json_put_number(m, "model_prepared_fve", d->prepared_fve != 0 ? d->prepared_fve : NAN);
    json_put_text(m, "row_dtype", dtype_text(d->dtype));
    json_put(m, "hooks", hooks(d, view));
    json_put_number(m, "max_norm_ratio", d->max_norm_ratio > 0 ? d->max_norm_ratio : NAN);
    json_put(m, "keeps_special_tokens", json_boolean(d->keep_special));
    json_put(m, "keeps_first_tokens", json_boolean(d->keep_sinks));
    json_put(m, "sheds_under_load", json_boolean(d->shed));
    json_put_count(m, "held_out_one_in", d->held_out_one_in);
}

void provenance_put_training(json_t *m, const struct provenance_training *t, uint32_t i)
{
    const struct sae_options *o = t->options;
    json_t *changes = changes_of(t->changes, CHANGES_OF_TRAINER),
           *own = changes_of(t->changes, (int)i);
    json_put_text(m, "training_architecture", sae_arch_name(o->arch));
    json_put_text(m, "training_activation", sae_arch_name(sae_activation(o)));
    json_put_count(m, "training_tokens", t->rows);
    json_put_count(m, "training_reuse", t->reuse);
    json_put_count(m, "training_planned_tokens", t->planned_rows);
    json_put_count(m, "training_steps", t->steps);
    json_put_count(m, "training_skipped_steps", t->skipped);
    json_put_count(m, "training_batch_rows", t->batch_rows);
    json_put_count(m, "training_seed", o->seed);
    json_put_count(m, "training_shuffle_seed", t->shuffle_seed);
    json_t *settings = json_array_get(json_object_get(t->settings, "saes"), i);
    json_put(m, "training_settings", settings ? json_deep_copy(settings) : json_null());
    json_array_extend(changes, own);
    json_decref(own);
    json_put(m, "training_changes", changes);
    json_put_count(m, "training_changes_known_from_step", t->known_from_steps);
}

int provenance_fold_begin(const struct view *v, const float *scale, const struct whiten *whiten,
                          struct provenance_fold *fold)
{
    *fold = (struct provenance_fold){.scale = malloc(v->width * sizeof *fold->scale)};
    if (!fold->scale) return err_set(ERR_NOMEM, "no memory for what an autoencoder sees");
    view_gather(v, scale, 0, 1, fold->scale);
    int result = ERR_OK;
    if (whiten && !v->is_whole) result = whiten_select(whiten, v->place, v->hooks, &fold->of_some);
    fold->whiten = v->is_whole ? whiten : fold->of_some;
    return result;
}

void provenance_fold_end(struct provenance_fold *fold)
{
    free(fold->scale);
    whiten_free(fold->of_some);
    *fold = (struct provenance_fold){0};
}

struct export_options provenance_export(const struct descriptor *d, const struct view *view,
                                        enum sae_arch arch, const char *model_name,
                                        const char **names)
{
    int transcoder = arch == SAE_TRANSCODER;
    for (uint32_t h = 0; h < view->hooks; h++) names[h] = d->hook[view->place[h]].name;
    return (struct export_options){
        .model_name = model_name && model_name[0] ? model_name : d->model,
        .hook_name = view->hooks == 1 || transcoder ? names[0] : NULL,
        .hook_name_out = transcoder ? names[1] : NULL,
        .hook_names = names,
        .context_tokens = d->context_tokens,
        .prepends_bos = d->prepends_bos,
    };
}
