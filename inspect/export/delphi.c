/*
 * delphi 0.1: a run's folder, with the cache of latents that it explains.
 *
 *   latents/MODULE/START_END.safetensors  features START to END: locations (n, 3) of matrix row,
 *                                         column and feature less START, activations (n), tokens
 *   latents/MODULE/config.json
 *   explanations/MODULE_latentN.txt       labels, as it keeps its own
 *
 * It wants every token at which a feature fires, so it is made of the kept records (kept.h) and not of
 * the contexts. A row of its matrix is a sequence, a column a position; columns are a multiple of
 * COLUMNS_UNIT, as its examples are parts of so many. A cell that no row stands in has token 0, and
 * nothing fires there.
 */
#include "inspect/export/features_export.h"

#include "base/err.h"
#include "base/safetensors.h"
#include "inspect/export/put.h"
#include "inspect/export/words.h"
#include "inspect/kept.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COLUMNS_UNIT = 32, MOST_COLUMNS = 1 << 20, SPLIT_PAIRS = 1 << 22, PLACE_NUMBERS = 3 };

struct cache {
    struct features_export *x;
    struct record_view view;
    char folder[PUT_PATH_BYTES], module[FEATURES_NAME_BYTES];
    uint64_t rows, columns; /* of the matrix */
    uint32_t *row;          /* (view.rows): in the matrix */
    uint32_t *token;        /* (rows, columns) */
    uint64_t *count;        /* (features): pairs of each that is wanted */
    uint64_t splits;
};

struct split {
    uint32_t first, last;
    uint64_t pairs;
    uint32_t *place; /* (pairs, 3) */
    float *value;    /* (pairs) */
};

/* ---- the matrix ---- */

static uint64_t columns_of(const struct cache *c)
{
    uint64_t most = c->x->index->facts.context_tokens;
    for (uint64_t r = 0; most == 0 && r < c->view.rows; r++)
        if (c->view.row[r].position >= most) most = (uint64_t)c->view.row[r].position + 1;
    return (most + COLUMNS_UNIT - 1) / COLUMNS_UNIT * COLUMNS_UNIT;
}

/* A row begins where another sequence does, or its positions don't go on upwards, or another part of a
 * sequence that is longer than a row. */
static void place_rows(struct cache *c)
{
    const struct record_row *row = c->view.row;
    for (uint64_t r = 0; r < c->view.rows; r++) {
        int begins = r == 0 || row[r].sequence != row[r - 1].sequence ||
                     row[r].position <= row[r - 1].position ||
                     row[r].position / c->columns != row[r - 1].position / c->columns;
        c->rows += (uint64_t)begins;
        c->row[r] = (uint32_t)(c->rows - 1);
    }
}

static int make_matrix(struct cache *c)
{
    c->columns = columns_of(c);
    if (c->columns == 0 || c->columns > MOST_COLUMNS)
        return err_set(ERR_USAGE,
                       "contexts of %" PRIu64 " tokens are too long for delphi; HINT: "
                       "inspect with --context 512",
                       c->columns);
    c->row = malloc((c->view.rows + 1) * sizeof *c->row);
    if (!c->row) return err_set(ERR_NOMEM, "no memory for an export");
    place_rows(c);
    c->token = calloc(c->rows * c->columns + 1, sizeof *c->token);
    if (!c->token) return err_set(ERR_NOMEM, "no memory for an export");
    for (uint64_t r = 0; r < c->view.rows; r++)
        c->token[c->row[r] * c->columns + c->view.row[r].position % c->columns] =
            c->view.row[r].token;
    return ERR_OK;
}

/* ---- pairs ---- */

/* How often each feature fires, which is what the index tells; then only those that are wanted. */
static int count_pairs(struct cache *c)
{
    const struct index *index = c->x->index;
    uint32_t features = index->facts.features;
    uint64_t *all = calloc((size_t)features + 1, sizeof *all), total = 0;
    c->count = calloc((size_t)features + 1, sizeof *c->count);
    if (!all || !c->count) {
        free(all);
        return err_set(ERR_NOMEM, "no memory for an export");
    }
    for (uint64_t i = 0; i < c->view.fired; i++)
        if (c->view.pair[i].feature < features) all[c->view.pair[i].feature]++;
    uint32_t wrong = 0;
    while (wrong < features && all[wrong] == index->entry[wrong].rows) wrong++;
    for (size_t i = 0; i < c->x->count; i++) {
        uint32_t f = c->x->features[i];
        c->count[f] = all[f];
        total += all[f];
        c->x->written += all[f] > 0;
    }
    free(all);
    if (wrong < features)
        return err_set(
            ERR_CORRUPT,
            "%s/records are of another index: feature %u fires at other rows; HINT: copy "
            "the folder again, or inspect again",
            index->folder, wrong);
    return total ? ERR_OK
                 : err_set(ERR_USAGE, "none of these features fires; HINT: --features others");
}

/* From `first` on as many features as have SPLIT_PAIRS pairs together, and those without any behind
 * them: an empty file would be refused. */
static void take_split(const struct cache *c, uint32_t first, struct split *s)
{
    uint64_t most = c->x->split_pairs ? c->x->split_pairs : SPLIT_PAIRS;
    uint32_t features = c->x->index->facts.features;
    *s = (struct split){.first = first, .last = first, .pairs = c->count[first]};
    for (uint32_t f = first + 1; f < features; f++) {
        if (s->pairs && c->count[f] && s->pairs + c->count[f] > most) break;
        s->pairs += c->count[f];
        s->last = f;
    }
}

static void fill_split(const struct cache *c, struct split *s)
{
    uint64_t n = 0;
    for (uint64_t r = 0; r < c->view.rows; r++) {
        for (uint64_t i = c->view.row[r].start; i < record_end(&c->view, r); i++) {
            const struct fired *pair = &c->view.pair[i];
            if (pair->feature < s->first || pair->feature > s->last || !c->count[pair->feature] ||
                n == s->pairs)
                continue;
            uint32_t *place = s->place + PLACE_NUMBERS * n;
            place[0] = c->row[r];
            place[1] = (uint32_t)(c->view.row[r].position % c->columns);
            place[2] = pair->feature - s->first;
            s->value[n++] = pair->value;
        }
    }
    s->pairs = n;
}

static int write_split(struct cache *c, struct split *s)
{
    char path[PUT_PATH_BYTES + 64];
    s->place = malloc((s->pairs + 1) * PLACE_NUMBERS * sizeof *s->place);
    s->value = malloc((s->pairs + 1) * sizeof *s->value);
    int result = s->place && s->value ? ERR_OK : err_set(ERR_NOMEM, "no memory for an export");
    if (result == ERR_OK) {
        fill_split(c, s);
        struct safetensors_tensor tensors[] = {
            {"locations",
             SAFETENSORS_U32,
             2,
             {s->pairs, PLACE_NUMBERS},
             s->place,
             s->pairs * PLACE_NUMBERS * sizeof *s->place},
            {"activations", SAFETENSORS_F32, 1, {s->pairs}, s->value, s->pairs * sizeof *s->value},
            {"tokens",
             SAFETENSORS_U32,
             2,
             {c->rows, c->columns},
             c->token,
             c->rows * c->columns * sizeof *c->token}};
        snprintf(path, sizeof path, "%s/%u_%u.safetensors", c->folder, s->first, s->last);
        result = safetensors_write(path, tensors, sizeof tensors / sizeof *tensors, NULL, 0);
    }
    free(s->place);
    free(s->value);
    return result;
}

static int write_splits(struct cache *c)
{
    uint32_t features = c->x->index->facts.features;
    int result = ERR_OK;
    for (uint32_t first = 0; first < features && result == ERR_OK;) {
        struct split s;
        take_split(c, first, &s);
        result = write_split(c, &s);
        first = s.last + 1;
        c->splits++;
        if (c->x->progress) c->x->progress(c->x->arg, first, features);
    }
    return result;
}

/* ---- beside them ---- */

static int write_config(const struct cache *c)
{
    json_int_t columns = (json_int_t)c->columns;
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:s}", "dataset_repo", "",
                          "dataset_split", "", "dataset_name", "", "dataset_column", "text",
                          "batch_size", 1, "cache_ctx_len", columns, "ctx_len", columns, "n_tokens",
                          (json_int_t)(c->rows * c->columns), "n_splits", (json_int_t)c->splits,
                          "model_name", c->x->model);
    return put_json(c->folder, "config.json", o);
}

static int write_label(const struct cache *c, const char *folder, uint32_t feature)
{
    char name[FEATURES_NAME_BYTES + 32];
    const char *label = labels_of(c->x->labels, feature);
    if (!label || !label[0]) return ERR_OK;
    json_t *json = words_text(label, strlen(label), WORDS_REPLACED);
    char *text = json ? json_dumps(json, JSON_ENCODE_ANY) : NULL;
    json_decref(json);
    if (!text) return err_set(ERR_NOMEM, "no memory for an export");
    snprintf(name, sizeof name, "%s_latent%u.txt", c->module, feature);
    int result = put_bytes(folder, name, text, strlen(text));
    free(text);
    return result;
}

static int write_labels(const struct cache *c, const char *folder)
{
    char path[PUT_PATH_BYTES];
    int result = put_folder(folder, "explanations", path);
    for (size_t i = 0; i < c->x->count && result == ERR_OK; i++)
        result = write_label(c, path, c->x->features[i]);
    return result;
}

static int write_cache(struct cache *c, const char *folder)
{
    char name[FEATURES_NAME_BYTES + 16], config[PUT_PATH_BYTES + 16];
    features_export_module(&c->x->index->facts, c->module);
    snprintf(name, sizeof name, "latents/%s", c->module);
    int result = put_folder(folder, name, c->folder);
    snprintf(config, sizeof config, "%s/config.json", c->folder);
    if (result == ERR_OK && access(config, F_OK) == 0)
        return err_set(ERR_USAGE,
                       "two indexes are of the hook %s; HINT: export them into two folders",
                       c->module);
    if (result == ERR_OK) result = make_matrix(c);
    if (result == ERR_OK) result = count_pairs(c);
    if (result == ERR_OK) result = write_splits(c);
    if (result == ERR_OK) result = write_config(c);
    return result == ERR_OK ? write_labels(c, folder) : result;
}

int features_export_delphi(struct features_export *x, const char *folder)
{
    struct cache c = {.x = x};
    if (x->index->facts.tokens == 0)
        return err_set(ERR_USAGE,
                       "%s: its rows have no vocabulary, so delphi could not read their "
                       "tokens; HINT: inspect over a corpus",
                       x->index->folder);
    int result = kept_map(x->index, &c.view);
    if (result != ERR_OK) return result;
    result = write_cache(&c, folder);
    records_unmap(&c.view);
    free(c.row);
    free(c.token);
    free(c.count);
    return result;
}
