/*
 * circuit-tracer 0.5: feature pages as its frontend reads them from a hub.
 *
 *   features/layer_L.bin    of each feature u32 bytes, little-endian, and its page: JSON, gzip
 *   features/index.json.gz  {"L": {"filename", "offsets"}}: where in the file each begins, and the end
 *   pages/N.json            where they are asked for, what its local server gives out: N is layer and
 *                           feature in one number (Cantor's pairing), as its graphs have it
 *
 * Features that are not wanted have a page without examples, with how often and how much they fire.
 */
#include "inspect/export/features_export.h"

#include "base/err.h"
#include "base/json_put.h"
#include "base/newfile.h"
#include "inspect/deflate.h"
#include "inspect/export/put.h"
#include "inspect/export/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LOGITS = 10, PERCENTILES = 100 };

struct pages {
    struct features_export *x;
    char folder[PUT_PATH_BYTES], singles[PUT_PATH_BYTES];
    unsigned layer;
    uint32_t next; /* feature to be written */
    struct newfile *file;
    json_t *offsets;
};

/* ---- a page ---- */

static json_t *example(const struct pages *p, const json_t *context)
{
    return json_pack("{s:o, s:O, s:b, s:o}", "tokens_acts_list", words_values(context),
                     "train_token_ind", json_object_get(context, "at"), "is_repeated_datapoint", 0,
                     "tokens", words_tokens(p->x->index, context, WORDS_HEX));
}

static json_t *quantile(const struct pages *p, const char *name, const json_t *contexts)
{
    json_t *list = json_array();
    const json_t *context;
    size_t i;
    json_array_foreach(contexts, i, context) json_array_append_new(list, example(p, context));
    return json_pack("{s:s, s:o}", "quantile_name", name, "examples", list);
}

/* The strongest, and below them the intervals that have examples, from above. */
static json_t *quantiles(const struct pages *p, const json_t *sheet)
{
    json_t *list = json_array();
    const json_t *intervals = json_object_get(sheet, "intervals"), *o;
    char name[80];
    if (json_array_size(json_object_get(sheet, "top")))
        json_array_append_new(list, quantile(p, "Top activations", json_object_get(sheet, "top")));
    for (size_t i = json_array_size(intervals); i-- > 0;) {
        o = json_array_get(intervals, i);
        if (json_array_size(json_object_get(o, "samples")) == 0) continue;
        snprintf(name, sizeof name, "Values %.4g to %.4g", words_number(o, "from"),
                 words_number(o, "to"));
        json_array_append_new(list, quantile(p, name, json_object_get(o, "samples")));
    }
    return list;
}

/* Where 1 %, 2 %, ... of the values lie below, evenly spread within a bin of the histogram. */
static json_t *percentiles(const json_t *sheet)
{
    json_t *list = json_array();
    const json_t *histogram = json_object_get(sheet, "histogram");
    size_t bins = json_array_size(histogram), bin = 0;
    double width = bins ? words_number(sheet, "largest") / (double)bins : 0, below = 0, all = 0;
    for (size_t i = 0; i < bins; i++) all += json_number_value(json_array_get(histogram, i));
    for (int percent = 1; all > 0 && percent <= PERCENTILES; percent++) {
        double wanted = all * percent / PERCENTILES, in;
        for (;; bin++) {
            in = json_number_value(json_array_get(histogram, bin));
            if (below + in >= wanted || bin + 1 == bins) break;
            below += in;
        }
        double share = in > 0 ? (wanted - below) / in : 1;
        json_array_append_new(list, json_real(width * ((double)bin + (share < 1 ? share : 1))));
    }
    return list;
}

static json_t *bare(const struct pages *p, uint32_t feature)
{
    const struct index *index = p->x->index;
    const struct index_entry *e = &index->entry[feature];
    uint64_t kept = index->facts.kept_rows;
    return json_pack("{s:s, s:I, s:[], s:[], s:[], s:f, s:f, s:[], s:[], s:f}", "transcoder_id",
                     p->x->set, "index", (json_int_t)feature, "examples_quantiles", "top_logits",
                     "bottom_logits", "act_min", 0.0, "act_max", (double)e->largest,
                     "quantile_values", "histogram", "activation_frequency",
                     kept ? (double)e->rows / (double)kept : 0.0);
}

static void put_logits(const struct pages *p, json_t *o, const json_t *sheet, int likelier)
{
    json_t *texts = json_array(), *logits = json_array();
    words_promoted(p->x->index, sheet, likelier, MOST_LOGITS, WORDS_HEX, texts, logits);
    json_put(o, likelier ? "top_logits" : "bottom_logits", texts);
    json_decref(logits);
}

static void fill(const struct pages *p, const json_t *sheet, json_t *o)
{
    json_put(o, "examples_quantiles", quantiles(p, sheet));
    json_put(o, "quantile_values", percentiles(sheet));
    json_object_set(o, "histogram", json_object_get(sheet, "histogram"));
    json_object_set(o, "act_max", json_object_get(sheet, "largest"));
    json_object_set(o, "activation_frequency", json_object_get(sheet, "density"));
    put_logits(p, o, sheet, 1);
    put_logits(p, o, sheet, 0);
}

/* ---- files ---- */

static uint64_t cantor(uint64_t layer, uint64_t feature)
{
    return (layer + feature) * (layer + feature + 1) / 2 + feature;
}

static int add_record(struct pages *p, const char *text)
{
    void *packed;
    size_t bytes;
    int result = deflate_gzip(text, strlen(text), &packed, &bytes);
    if (result != ERR_OK) return result;
    unsigned char size[4];
    for (int i = 0; i < 4; i++) size[i] = (unsigned char)(bytes >> 8 * i);
    json_array_append_new(p->offsets, json_integer((json_int_t)newfile_bytes(p->file)));
    result = newfile_write(p->file, size, sizeof size);
    if (result == ERR_OK) result = newfile_write(p->file, packed, bytes);
    free(packed);
    return result;
}

/* The next feature's page, which it takes. */
static int add_page(struct pages *p, json_t *page, int is_wanted)
{
    char name[40];
    char *text = page ? json_dumps(page, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
    json_decref(page);
    if (!text) return err_set(ERR_NOMEM, "no memory for an export");
    int result = add_record(p, text);
    snprintf(name, sizeof name, "%" PRIu64 ".json", cantor(p->layer, p->next));
    if (result == ERR_OK && p->x->with_pages && is_wanted)
        result = put_bytes(p->singles, name, text, strlen(text));
    free(text);
    p->next++;
    return result;
}

static int add_bare(struct pages *p, uint32_t end)
{
    int result = ERR_OK;
    while (result == ERR_OK && p->next < end) result = add_page(p, bare(p, p->next), 0);
    return result;
}

static int take(void *arg, const json_t *sheet)
{
    struct pages *p = arg;
    uint32_t feature = (uint32_t)json_integer_value(json_object_get(sheet, "feature"));
    int result = add_bare(p, feature);
    if (result != ERR_OK) return result;
    json_t *page = bare(p, feature);
    if (page) fill(p, sheet, page);
    p->x->written += json_array_size(json_object_get(sheet, "top")) > 0;
    return add_page(p, page, 1);
}

static int write_index(const struct pages *p)
{
    void *packed;
    size_t bytes;
    char *text = json_dumps(p->x->layers, JSON_COMPACT);
    if (!text) return err_set(ERR_NOMEM, "no memory for an export");
    int result = deflate_gzip(text, strlen(text), &packed, &bytes);
    free(text);
    if (result != ERR_OK) return result;
    result = put_bytes(p->folder, "index.json.gz", packed, bytes);
    free(packed);
    return result;
}

/* The layer's place in the index of all. */
static int add_layer(const struct pages *p, const char *layer, const char *bin)
{
    json_t *o = json_pack("{s:s, s:O}", "filename", bin, "offsets", p->offsets);
    if (json_object_set_new(p->x->layers, layer, o) == 0) return ERR_OK;
    return err_set(ERR_NOMEM, "no memory for an export");
}

/* A number that was told would give features of several layers the numbers of one. */
static int layer_of(struct pages *p, char *layer, size_t bytes)
{
    struct features_export by_name = *p->x;
    by_name.layer = -1;
    int result = features_export_layer(&by_name, &p->layer);
    if (result != ERR_OK && p->x->layer >= 0 && p->x->index->facts.hooks == 1)
        result = features_export_layer(p->x, &p->layer);
    snprintf(layer, bytes, "%u", p->layer);
    if (result == ERR_OK && json_object_get(p->x->layers, layer))
        return err_set(ERR_USAGE, "two indexes are of layer %s; HINT: export them into two folders",
                       layer);
    return result;
}

static int write_bin(struct pages *p, const char *bin)
{
    char path[PUT_PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/%s", p->folder, bin);
    int result = newfile_begin(path, &p->file);
    if (result != ERR_OK) return result;
    result = features_export_each(p->x, take, p);
    if (result == ERR_OK) result = add_bare(p, p->x->index->facts.features);
    json_array_append_new(p->offsets, json_integer((json_int_t)newfile_bytes(p->file)));
    if (result == ERR_OK) return newfile_commit(p->file);
    newfile_abort(p->file);
    return result;
}

int features_export_circuit_tracer(struct features_export *x, const char *folder)
{
    struct pages p = {.x = x, .offsets = json_array()};
    char bin[32], layer[16];
    int result = layer_of(&p, layer, sizeof layer);
    if (result == ERR_OK) result = put_folder(folder, "features", p.folder);
    if (result == ERR_OK && x->with_pages) result = put_folder(folder, "pages", p.singles);
    snprintf(bin, sizeof bin, "layer_%s.bin", layer);
    if (result == ERR_OK) result = write_bin(&p, bin);
    if (result == ERR_OK) result = add_layer(&p, layer, bin);
    if (result == ERR_OK && x->is_last) result = write_index(&p);
    json_decref(p.offsets);
    return result;
}
