/*
 * Neuronpedia's upload-batch (package neuronpedia 1.2): batch-N.json is one request as
 * FeatureRequest.upload_batch() sends it, of at most 128 features. It refuses a feature without
 * activations, so those that never fire are left out. A label is an explanation of no method.
 */
#include "inspect/export/features_export.h"

#include "base/err.h"
#include "base/json_put.h"
#include "engine/utf8.h"
#include "inspect/export/put.h"
#include "inspect/export/words.h"

#include <stdio.h>
#include <string.h>

/* What its server takes at most. */
enum { BATCH_FEATURES = 128, MOST_LOGITS = 20, MOST_LABEL_BYTES = 512 };

struct upload {
    struct features_export *x;
    const char *folder;
    char source[FEATURES_NAME_BYTES];
    unsigned batches;
    json_t *batch;
};

static json_t *activation(const struct upload *u, const json_t *context)
{
    return json_pack("{s:o, s:o, s:n, s:n, s:n}", "tokens",
                     words_tokens(u->x->index, context, WORDS_REPLACED), "values",
                     words_values(context), "quantileMax", "quantileMin", "quantileFraction");
}

/* The quantile's fraction is of the tokens at which the feature fires. */
static void put_quantile(json_t *activation, const json_t *interval, double rows)
{
    json_put_number(activation, "quantileMax", words_number(interval, "to"));
    json_put_number(activation, "quantileMin", words_number(interval, "from"));
    json_put_number(activation, "quantileFraction", words_number(interval, "rows") / rows);
}

static json_t *activations(const struct upload *u, const json_t *sheet)
{
    json_t *list = json_array(), *context;
    const json_t *intervals = json_object_get(sheet, "intervals");
    size_t k;
    json_array_foreach(json_object_get(sheet, "top"), k, context)
        json_array_append_new(list, activation(u, context));
    for (size_t i = json_array_size(intervals); i-- > 0;) {
        const json_t *o = json_array_get(intervals, i);
        json_array_foreach(json_object_get(o, "samples"), k, context)
        {
            json_t *a = activation(u, context);
            put_quantile(a, o, words_number(sheet, "rows"));
            json_array_append_new(list, a);
        }
    }
    return list;
}

static void put_logits(const struct upload *u, json_t *o, const json_t *sheet, int likelier)
{
    json_t *texts = json_array(), *logits = json_array(), *list = json_array();
    words_promoted(u->x->index, sheet, likelier, MOST_LOGITS, WORDS_REPLACED, texts, logits);
    for (size_t i = 0; i < json_array_size(texts); i++)
        json_array_append_new(list, json_pack("{s:O, s:O}", "token", json_array_get(texts, i),
                                              "value", json_array_get(logits, i)));
    json_put(o, likelier ? "topLogits" : "bottomLogits",
             json_array_size(list) ? json_incref(list) : json_null());
    json_decref(texts);
    json_decref(logits);
    json_decref(list);
}

static json_t *explanations(const struct upload *u, uint32_t feature)
{
    json_t *list = json_array();
    const char *label = labels_of(u->x->labels, feature);
    size_t bytes = label ? strlen(label) : 0;
    if (bytes > MOST_LABEL_BYTES) bytes = utf8_boundary(label, MOST_LABEL_BYTES);
    if (bytes == 0) return list;
    json_array_append_new(list, json_pack("{s:o, s:n, s:n}", "text",
                                          words_text(label, bytes, WORDS_REPLACED), "methodName",
                                          "modelName"));
    return list;
}

static int write_batch(struct upload *u)
{
    char name[32];
    snprintf(name, sizeof name, "batch-%u.json", u->batches++);
    json_t *o = json_pack("{s:s, s:s, s:o}", "modelId", u->x->model, "source", u->source,
                          "features", u->batch);
    u->batch = json_array();
    return put_json(u->folder, name, o);
}

static int take(void *arg, const json_t *sheet)
{
    struct upload *u = arg;
    json_t *number = json_object_get(sheet, "feature"), *o;
    if (json_array_size(json_object_get(sheet, "top")) == 0) return ERR_OK;
    o = json_pack("{s:O, s:O, s:o, s:o}", "index", number, "density",
                  json_object_get(sheet, "density"), "activations", activations(u, sheet),
                  "explanations", explanations(u, (uint32_t)json_integer_value(number)));
    put_logits(u, o, sheet, 1);
    put_logits(u, o, sheet, 0);
    json_array_append_new(u->batch, o);
    u->x->written++;
    return json_array_size(u->batch) < BATCH_FEATURES ? ERR_OK : write_batch(u);
}

int features_export_neuronpedia(struct features_export *x, const char *folder)
{
    struct upload u = {.x = x, .folder = folder, .batch = json_array()};
    unsigned layer;
    int result = features_export_layer(x, &layer);
    if (result == ERR_OK) snprintf(u.source, sizeof u.source, "%u-%.200s", layer, x->set);
    if (result == ERR_OK) result = features_export_each(x, take, &u);
    if (result == ERR_OK && json_array_size(u.batch)) result = write_batch(&u);
    json_decref(u.batch);
    return result;
}
