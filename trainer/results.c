/* What is left when training has finished: exports, counters of `count`, and summary.json. */
#include "trainer/state.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/json_put.h"
#include "base/own.h"
#include "runtime/log.h"
#include "trainer/curves.h"
#include "trainer/metadata.h"
#include "trainer/missed.h"
#include "trainer/seen.h"
#include "trainer/warnings.h"
#include "trainer/whitening.h"
#include "wiring/changes.h"
#include "wiring/provenance.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT_HISTOGRAM = 64 };

struct count_totals {
    uint64_t rows;                      /* that have a counter */
    uint64_t with[COUNT_HISTOGRAM + 1]; /* rows by counter; the last place: as much or more */
};

static int count_one(void *arg, uint64_t sequence, uint32_t position, uint32_t count)
{
    struct count_totals *totals = arg;
    (void)sequence;
    (void)position;
    totals->rows++;
    totals->with[count < COUNT_HISTOGRAM ? count : COUNT_HISTOGRAM]++;
    return 0;
}

static int counters(const struct training *t, uint32_t i, json_t *object)
{
    struct count_totals totals = {0};
    char path[CONFIG_PATH_BYTES + 128], key[32];
    snprintf(path, sizeof path, "%s/%s.counts", t->dir, t->config->trainer.saes[i].name);
    int result = sae_count_visit(t->sae[i], count_one, &totals);
    if (result == ERR_OK) result = sae_count_dump(t->sae[i], path);
    if (result != ERR_OK) return result;
    json_t *histogram = json_object();
    for (int c = 0; c <= COUNT_HISTOGRAM; c++) {
        if (!totals.with[c]) continue;
        snprintf(key, sizeof key, "%d", c);
        json_object_set_new(histogram, key, json_integer((json_int_t)totals.with[c]));
    }
    json_object_set_new(object, "counted_rows", json_integer((json_int_t)totals.rows));
    json_object_set_new(object, "counters", histogram);
    json_object_set_new(object, "counts_file", json_string(path));
    return ERR_OK;
}

static void evaluation(const struct training *t, uint32_t i, json_t *object)
{
    const struct sae_eval *e = &t->eval[i];
    const struct sae_options *o = sae_options(t->sae[i]);
    struct history_point p = training_point(t, i);
    const struct config_sae *c = &t->config->trainer.saes[i];
    char why[96];
    evaluation_no_fve(t, i, why, sizeof why);
    json_object_set_new(object, "hooks", view_names(&t->plan.view[i], &t->plan.descriptor));
    json_object_set_new(object, "activation", json_string(sae_arch_name(sae_activation(o))));
    json_object_set_new(object, "k", config_sae_uses(c, "k") ? json_integer(o->k) : json_null());
    json_object_set_new(object, "lambda",
                        json_finite(config_sae_uses(c, "lambda") ? o->lambda : NAN));
    json_object_set_new(object, "target_l0", json_finite(o->target_l0 > 0 ? o->target_l0 : NAN));
    json_object_set_new(object, "lr", json_finite(o->learning_rate));
    json_object_set_new(object, "decoder_lr_factor", json_finite(o->decoder_lr_factor));
    json_object_set_new(object, "seed", json_integer((json_int_t)o->seed));
    json_object_set_new(object, "flops", json_finite(p.flops));
    json_object_set_new(object, "loss", json_finite(p.loss));
    json_object_set_new(object, "fve", json_finite(p.fve));
    if (why[0]) json_object_set_new(object, "no_fve", json_string(why));
    json_object_set_new(object, "mse", json_finite(p.mse));
    json_object_set_new(object, "l0", e->rows ? json_finite(e->l0) : json_null());
    json_object_set_new(object, "l1", e->rows ? json_finite(e->l1) : json_null());
    json_object_set_new(object, "dead",
                        isnan(p.dead) ? json_null() : json_integer((json_int_t)p.dead));
    json_object_set_new(object, "dead_window_rows", json_integer((json_int_t)o->dead_window_rows));
}

/* How it was trained, and what a person should hear of it: told in the log too. */
static void remarks(const struct training *t, uint32_t i, json_t *object)
{
    const struct sae_options *o = sae_options(t->sae[i]);
    struct history_point p = training_point(t, i);
    uint64_t window = o->dead_window_rows < t->rows ? o->dead_window_rows : t->rows;
    struct warnings_facts facts = {.options = o,
                                   .l0 = p.l0,
                                   .fve = p.fve,
                                   .is_broken = t->eval[i].no_fve == SAE_BROKEN,
                                   .dead = training_dead(t, i),
                                   .silent = sae_silent(t->sae[i], window),
                                   .rows = t->rows,
                                   .steps = sae_steps(t->sae[i]),
                                   .skipped = sae_skipped(t->sae[i])};
    json_t *list = warnings_of(&facts), *text;
    size_t n;
    json_array_foreach(list, n, text)
        log_warn("autoencoder %s: %s", t->config->trainer.saes[i].name, json_string_value(text));
    json_object_set_new(object, "silent", json_integer(facts.silent));
    json_object_set_new(object, "warnings", list);
    json_object_set_new(object, "settings",
                        json_deep_copy(json_array_get(json_object_get(t->settings, "saes"), i)));
    json_object_set_new(object, "changes", changes_of(t->changes, (int)i));
}

/* One layout into DIR/export/NAME/LAYOUT; its place and the lines that load it into `list`. */
/* Folders of the run, which its own files go into: made one by one, through no link. */
static int make_folders(const struct training *t, uint32_t i, const char *layout)
{
    char folder[CONFIG_PATH_BYTES + 160];
    const char *sae = t->config->trainer.saes[i].name;
    snprintf(folder, sizeof folder, "%s/export", t->dir);
    int result = own_make(folder, 0);
    snprintf(folder, sizeof folder, "%s/export/%s", t->dir, sae);
    if (result == ERR_OK) result = own_make(folder, 0);
    snprintf(folder, sizeof folder, "%s/export/%s/%s", t->dir, sae, layout);
    return result == ERR_OK ? own_make(folder, 0) : result;
}

static int export_one(const struct training *t, uint32_t i, const struct seen *seen,
                      const struct export_layout *layout, json_t *metadata, json_t *list)
{
    const char *names[ROW_MAX_HOOKS];
    struct export_options options =
        provenance_export(&t->plan.descriptor, &t->plan.view[i], t->plan.sae[i].arch,
                          t->config->stream.model_name, names);
    options.scale = seen->fold.scale;
    options.whiten = seen->fold.whiten;
    options.metadata = metadata;
    if (layout->is_whole && !layout->is_whole(&t->plan.sae[i], &options)) return ERR_OK;
    char folder[CONFIG_PATH_BYTES + 160], *python = NULL;
    snprintf(folder, sizeof folder, "%s/export/%s/%s", t->dir, t->config->trainer.saes[i].name,
             layout->name);
    int result = make_folders(t, i, layout->name);
    if (result == ERR_OK) result = layout->write(sae_view(t->sae[i]), &options, folder);
    if (result == ERR_OK) result = layout->python(sae_view(t->sae[i]), &options, folder, &python);
    if (result != ERR_OK) return result;
    json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "layout", layout->name, "folder",
                                          folder, "python", python));
    free(python);
    return ERR_OK;
}

/* Every layout that has this SAE. */
static int exports(const struct training *t, uint32_t i, json_t *object)
{
    json_t *list = json_array(), *metadata = NULL;
    struct seen seen;
    json_object_set_new(object, "exports", list);
    int result = seen_begin(t, i, 0, &seen);
    if (result == ERR_OK && !(metadata = metadata_of(t, i, seen.fold.whiten)))
        result = err_set(ERR_NOMEM, "no memory to export");
    for (int l = 0; l < EXPORT_LAYOUTS && result == ERR_OK; l++)
        if (export_layouts[l].has(&t->plan.sae[i]))
            result = export_one(t, i, &seen, &export_layouts[l], metadata, list);
    seen_end(&seen);
    json_decref(metadata);
    return result;
}

static int one_sae(struct training *t, uint32_t i, json_t *list)
{
    const struct sae_options *o = sae_options(t->sae[i]);
    json_t *object = json_pack("{s:s, s:s, s:I, s:I, s:I}", "name", t->config->trainer.saes[i].name,
                               "arch", sae_arch_name(o->arch), "features", (json_int_t)o->features,
                               "steps", (json_int_t)sae_steps(t->sae[i]), "skipped_steps",
                               (json_int_t)sae_skipped(t->sae[i]));
    json_array_append_new(list, object);
    if (o->arch == SAE_COUNT) return counters(t, i, object);
    evaluation(t, i, object);
    remarks(t, i, object);
    return exports(t, i, object);
}

static json_t *shuffle(const struct training *t)
{
    json_t *object = json_object();
    double pairs = t->shuffle_ideal_pairs, entropy = t->shuffle_ideal_entropy;
    if (pairs > 0)
        json_object_set_new(object, "same_sequence_ratio", json_finite(t->shuffle_pairs / pairs));
    if (entropy > 0)
        json_object_set_new(object, "entropy_ratio", json_finite(t->shuffle_entropy / entropy));
    return object;
}

static json_t *summary(const struct training *t, json_t *saes)
{
    const struct plan *p = &t->plan;
    const struct training_times *s = &t->times;
    struct draw_gauges g = draw_gauges(t->draw);
    return json_pack(
        "{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:f,"
        " s:{s:f, s:f, s:f, s:f, s:f}, s:o, s:o, s:I, s:o, s:s, s:s, s:o}",
        "stream", p->descriptor.stream, "consumer", t->options.consumer, "folder", t->dir, "replay",
        t->options.replay != NULL, "steps", (json_int_t)t->steps, "rows", (json_int_t)t->rows,
        "reuse", (json_int_t)t->config->trainer.reuse, "planned_rows",
        (json_int_t)(t->is_finishing ? t->decay.end_rows : p->planned_rows), "batch_rows",
        (json_int_t)p->batch_rows, "held_out_rows", (json_int_t)g.rows_held_out, "evaluated_rows",
        (json_int_t)held_out_rows(t->held_out), "skipped_rows", (json_int_t)g.rows_skipped,
        "kernels", sae_kernels(t->sae[0]), "seconds", training_seconds(t), "last_life_seconds",
        "waiting", s->waiting, "drawing", s->drawing, "stepping", s->stepping, "evaluating",
        s->evaluating, "checkpointing", s->checkpointing, "shuffle", shuffle(t), "changes",
        changes_of(t->changes, CHANGES_OF_TRAINER), "changes_known_from_step",
        (json_int_t)t->known_from_steps, "settings",
        json_deep_copy(json_object_get(t->settings, "trainer")), "model_name",
        t->config->stream.model_name, "dataset", t->config->stream.dataset, "saes", saes);
}

/* What skipped_rows is made of, and what a live trainer is to hear beside. */
static void put_missed(const struct training *t, json_t *object)
{
    json_object_set_new(object, "missed_rows", json_integer((json_int_t)missed_rows(t)));
    json_object_set_new(object, "earlier_rows", json_integer((json_int_t)t->earlier_rows));
    json_object_set_new(object, "undrawn_rows", json_integer((json_int_t)t->undrawn_rows));
}

/* Where the curves lie. */
static void put_curves(const struct training *t, json_t *object)
{
    char lines[CONFIG_PATH_BYTES + 32], folder[CONFIG_PATH_BYTES + 32];
    curves_jsonl_path(t, lines, sizeof lines);
    curves_tensorboard_path(t, folder, sizeof folder);
    json_put_text(object, "metrics_file", lines);
    json_put_text(object, "tensorboard_folder", folder);
}

int results_write(struct training *t)
{
    char path[CONFIG_PATH_BYTES + 32];
    json_t *saes = json_array();
    int result = ERR_OK;
    for (uint32_t i = 0; i < t->plan.saes && result == ERR_OK; i++) result = one_sae(t, i, saes);
    json_t *object = summary(t, saes); /* takes `saes` */
    if (object) put_missed(t, object);
    if (object) put_curves(t, object);
    if (object && t->is_finishing)
        json_object_set_new(object, "finish",
                            json_pack("{s:I, s:I}", "from_rows", (json_int_t)t->decay.from_rows,
                                      "end_rows", (json_int_t)t->decay.end_rows));
    if (object && t->whiten) json_object_set_new(object, "whitening", whitening_json(t));
    char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    json_decref(object);
    snprintf(path, sizeof path, "%s/summary.json", t->dir);
    if (result == ERR_OK)
        result = text ? file_replace(path, text, strlen(text))
                      : err_set(ERR_NOMEM, "no memory for %s", path);
    free(text);
    return result;
}
