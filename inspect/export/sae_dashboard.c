/*
 * sae-dashboard 0.8: batch-N.json as its runner for Neuronpedia writes it, and skipped_indexes.json,
 * the features that never fire. The group of the strongest contexts has bin_min and bin_contains -1;
 * of the others bin_contains is the share of tokens with such a value.
 */
#include "inspect/export/features_export.h"

#include "base/err.h"
#include "base/json_put.h"
#include "inspect/export/put.h"
#include "inspect/export/words.h"

#include <stdio.h>

enum { BATCH_FEATURES = 128, MOST_LOGITS = 10 };

struct dashboard {
    struct features_export *x;
    const char *folder;
    unsigned layer, batches;
    json_t *batch;   /* features of the next file */
    json_t *skipped; /* numbers */
};

static json_t *activation(const struct dashboard *d, const json_t *context, double from, double to,
                          double contains)
{
    return json_pack(
        "{s:f, s:f, s:f, s:o, s:o, s:O}", "bin_min", from, "bin_max", to, "bin_contains", contains,
        "tokens", words_tokens(d->x->index, context, WORDS_REPLACED), "values",
        words_values(context), "qualifying_token_index", json_object_get(context, "at"));
}

static json_t *activations(const struct dashboard *d, const json_t *sheet)
{
    json_t *list = json_array(), *context;
    const json_t *intervals = json_object_get(sheet, "intervals");
    uint64_t rows = d->x->index->facts.kept_rows;
    double kept = rows ? (double)rows : 1;
    size_t k;
    json_array_foreach(json_object_get(sheet, "top"), k, context)
        json_array_append_new(list, activation(d, context, -1, words_number(sheet, "largest"), -1));
    for (size_t i = json_array_size(intervals); i-- > 0;) {
        const json_t *o = json_array_get(intervals, i);
        json_array_foreach(json_object_get(o, "samples"), k, context) json_array_append_new(
            list, activation(d, context, words_number(o, "from"), words_number(o, "to"),
                             words_number(o, "rows") / kept));
    }
    return list;
}

/* Its bars stand at the middles of the bins. */
static json_t *bar_values(const json_t *sheet)
{
    json_t *list = json_array();
    size_t bins = json_array_size(json_object_get(sheet, "histogram"));
    for (size_t i = 0; i < bins; i++)
        json_array_append_new(
            list, json_real(words_number(sheet, "largest") * ((double)i + 0.5) / (double)bins));
    return list;
}

static void put_logits(const struct dashboard *d, json_t *o, const json_t *sheet, int likelier)
{
    json_t *texts = json_array(), *logits = json_array();
    words_promoted(d->x->index, sheet, likelier, MOST_LOGITS, WORDS_REPLACED, texts, logits);
    json_put(o, likelier ? "pos_str" : "neg_str", texts);
    json_put(o, likelier ? "pos_values" : "neg_values", logits);
}

/* What an index does not know. */
static void put_empty(json_t *o)
{
    static const char *const keys[] = {"neuron_alignment_indices",
                                       "neuron_alignment_values",
                                       "neuron_alignment_l1",
                                       "correlated_neurons_indices",
                                       "correlated_neurons_l1",
                                       "correlated_neurons_pearson",
                                       "correlated_features_indices",
                                       "correlated_features_l1",
                                       "correlated_features_pearson",
                                       "logits_hist_data_bar_heights",
                                       "logits_hist_data_bar_values",
                                       "decoder_weights_dist",
                                       "vector"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) json_put(o, keys[i], json_array());
}

static int write_batch(struct dashboard *d)
{
    char name[32];
    snprintf(name, sizeof name, "batch-%u.json", d->batches++);
    json_t *o =
        json_pack("{s:s, s:i, s:s, s:n, s:o}", "model_id", d->x->model, "layer", (int)d->layer,
                  "sae_set", d->x->set, "sae_id_suffix", "features", d->batch);
    d->batch = json_array();
    return put_json(d->folder, name, o);
}

static int take(void *arg, const json_t *sheet)
{
    struct dashboard *d = arg;
    const struct index_facts *facts = &d->x->index->facts;
    json_t *number = json_object_get(sheet, "feature"), *o = json_object();
    if (!(words_number(sheet, "rows") > 0)) {
        json_decref(o);
        json_array_append(d->skipped, number);
        return ERR_OK;
    }
    json_object_set(o, "feature_index", number);
    put_empty(o);
    put_logits(d, o, sheet, 1);
    put_logits(d, o, sheet, 0);
    json_object_set(o, "frac_nonzero", json_object_get(sheet, "density"));
    json_put(o, "freq_hist_data_bar_values", bar_values(sheet));
    json_object_set(o, "freq_hist_data_bar_heights", json_object_get(sheet, "histogram"));
    json_put_count(o, "n_prompts_total",
                   facts->context_tokens ? facts->rows / facts->context_tokens : 0);
    json_put_count(o, "n_tokens_in_prompt", facts->context_tokens);
    json_put(o, "dataset", json_string(""));
    json_put(o, "activations", activations(d, sheet));
    json_array_append_new(d->batch, o);
    d->x->written++;
    return json_array_size(d->batch) < BATCH_FEATURES ? ERR_OK : write_batch(d);
}

static int write_skipped(struct dashboard *d)
{
    char layer[16];
    snprintf(layer, sizeof layer, "%u", d->layer);
    return put_json(d->folder, "skipped_indexes.json",
                    json_pack("{s:s, s:s, s:s, s:n, s:O}", "model_id", d->x->model, "layer", layer,
                              "sae_set", d->x->set, "log_sparsity", "skipped_indexes", d->skipped));
}

int features_export_sae_dashboard(struct features_export *x, const char *folder)
{
    struct dashboard d = {.x = x, .folder = folder, .batch = json_array(), .skipped = json_array()};
    int result = features_export_layer(x, &d.layer);
    if (result == ERR_OK) result = features_export_each(x, take, &d);
    if (result == ERR_OK && json_array_size(d.batch)) result = write_batch(&d);
    if (result == ERR_OK) result = write_skipped(&d);
    json_decref(d.batch);
    json_decref(d.skipped);
    return result;
}
