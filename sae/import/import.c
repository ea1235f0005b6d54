#include "sae/import/import.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/safetensors.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CFG_MOST_BYTES = 16 << 20, ROWS_AT_ONCE = 256 };

static const struct layout {
    const char *name, *file;
    int (*options)(struct import *from);
    int (*weights)(const struct import *from, struct encoder *e);
} layouts[] = {
    {"saelens", "sae_weights.safetensors", import_saelens_options, import_saelens_weights},
    {"sparsify", "sae.safetensors", import_sparsify_options, import_sparsify_weights},
    {"hooks", "weights.safetensors", import_hooks_options, import_hooks_weights},
};
enum { LAYOUTS = sizeof layouts / sizeof layouts[0] };

int import_number(const struct import *from, const char *key, uint32_t most, uint32_t *out)
{
    json_t *value = json_object_get(from->cfg, key);
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 1 || n > most)
        return err_set(ERR_FORMAT, "%s/cfg.json: %s is not a whole number from 1 to %u", from->path,
                       key, most);
    *out = (uint32_t)n;
    return ERR_OK;
}

int import_only(const struct import *from, const char *key, const char *wanted, const char *hint)
{
    json_t *value = json_object_get(from->cfg, key);
    const char *text = json_string_value(value);
    if (!value || json_is_null(value) || (text && strcmp(text, wanted) == 0)) return ERR_OK;
    return err_set(ERR_VERSION, "%s/cfg.json: %s is '%.60s', and only '%s' is read; HINT: %s",
                   from->path, key, text ? text : "no text", wanted, hint);
}

static int check_shape(const struct import *from, const struct safetensors_tensor *t, uint64_t a,
                       uint64_t b)
{
    uint32_t dims = b ? 2 : 1;
    if (t->dims == dims && t->shape[0] == a && (!b || t->shape[1] == b)) return ERR_OK;
    char second[32] = "";
    if (b) snprintf(second, sizeof second, ", %llu", (unsigned long long)b);
    return err_set(ERR_FORMAT, "%s: the tensor %s has not the shape (%llu%s) that cfg.json tells",
                   from->path, t->name, (unsigned long long)a, second);
}

/* The tensor of this name, if it has these dimensions. */
static int find(const struct import *from, const char *name, uint32_t rows, uint32_t columns,
                int transposed, const struct safetensors_tensor **tensor)
{
    const struct safetensors_tensor *t = safetensors_find(from->weights, name);
    if (!t) return err_set(ERR_FORMAT, "%s: there is no tensor %s", from->path, name);
    *tensor = t;
    return check_shape(from, t, transposed ? columns : rows, transposed ? rows : columns);
}

int import_has(const struct import *from, const char *name, uint32_t rows, uint32_t columns,
               int transposed)
{
    const struct safetensors_tensor *t;
    return find(from, name, rows, columns, transposed, &t);
}

int import_tensor(const struct import *from, const char *name, uint32_t rows, uint32_t columns,
                  int transposed, float *out)
{
    const struct safetensors_tensor *t = NULL;
    uint64_t values = (uint64_t)rows * (columns ? columns : 1);
    int result = find(from, name, rows, columns, transposed, &t);
    if (result != ERR_OK) return result;
    float *read = transposed ? malloc(values * sizeof *read) : out;
    if (result == ERR_OK && !read)
        result = err_set(ERR_NOMEM, "no memory for %llu weights", (unsigned long long)values);
    if (result == ERR_OK) {
        result = safetensors_to_f32(t, 0, values, read);
        if (result != ERR_OK) err_set(result, "%s: %s: %s", from->path, name, err_text());
    }
    for (uint64_t i = 0; result == ERR_OK && i < values; i++)
        if (!isfinite(read[i]))
            result = err_set(ERR_FORMAT, "%s: the tensor %s holds %g", from->path, name,
                             (double)read[i]);
    for (uint32_t r = 0; result == ERR_OK && transposed && r < rows; r++)
        for (uint32_t c = 0; c < columns; c++)
            out[(size_t)r * columns + c] = read[(size_t)c * rows + r];
    if (transposed) free(read);
    return result;
}

int import_thresholds(const struct import *from, const char *name, uint32_t features, float *out)
{
    if (!out) return ERR_OK;
    int result = import_tensor(from, name, features, 0, 0, out);
    for (uint32_t f = 0; result == ERR_OK && f < features; f++) out[f] = fmaxf(out[f], 0);
    return result;
}

int import_subtracts(const struct import *from, const char *key, struct encoder *e)
{
    e->subtracts = json_is_true(json_object_get(from->cfg, key));
    if (!e->subtracts || e->target_at == 0) return ERR_OK;
    return err_set(ERR_VERSION, "%s/cfg.json: %s of a %s is not read; HINT: put it into b_enc",
                   from->path, key, sae_arch_name(e->options->arch));
}

static void text_of(const json_t *object, const char *key, char out[IMPORT_TEXT_BYTES])
{
    const char *text = json_string_value(json_object_get(object, key));
    snprintf(out, IMPORT_TEXT_BYTES, "%s", text ? text : "");
}

/* Ours: a list of hooks, each an object with a name. */
static void names_of(const json_t *hooks, char out[IMPORT_TEXT_BYTES])
{
    json_t *hook;
    size_t i, used = 0;
    json_array_foreach(hooks, i, hook)
    {
        const char *name = json_string_value(json_object_get(hook, "name"));
        if (!name || used >= IMPORT_TEXT_BYTES) continue;
        used +=
            (size_t)snprintf(out + used, IMPORT_TEXT_BYTES - used, "%s%s", used ? "," : "", name);
    }
}

/* 0, which our exports have where nobody told it, and what can't be a context's length: not told. */
static uint32_t context_of(const json_t *object)
{
    json_int_t n = json_integer_value(json_object_get(object, "context_size"));
    return n > 0 && n <= IMPORT_MOST_CONTEXT ? (uint32_t)n : 0;
}

static int bos_of(const json_t *object)
{
    const json_t *told = json_object_get(object, "prepend_bos");
    return json_is_boolean(told) ? json_is_true(told) : -1;
}

/* SAELens before version 6, and sparsify's configuration, have such keys at the top. */
static void read_facts(const struct import *from, const struct layout *layout,
                       struct import_facts *facts)
{
    static const char *const keys[] = {"model_name", "hook_name", "hook_name_out"};
    char *const texts[] = {facts->model_name, facts->hook_name, facts->hook_name_out};
    json_t *metadata = json_object_get(from->cfg, "metadata");
    snprintf(facts->layout, sizeof facts->layout, "%s", layout->name);
    for (int i = 0; i < 3; i++) {
        text_of(metadata, keys[i], texts[i]);
        if (!texts[i][0]) text_of(from->cfg, keys[i], texts[i]);
    }
    facts->context_tokens = context_of(metadata);
    if (!facts->context_tokens) facts->context_tokens = context_of(from->cfg);
    facts->prepends_bos = bos_of(metadata);
    if (facts->prepends_bos < 0) facts->prepends_bos = bos_of(from->cfg);
    if (!facts->hook_name[0]) names_of(json_object_get(from->cfg, "in"), facts->hook_name);
    if (!facts->hook_name_out[0] && from->options.width_in > 0)
        names_of(json_object_get(from->cfg, "out"), facts->hook_name_out);
}

static int read_cfg(struct import *from)
{
    char path[PATH_MAX + 16], *text;
    size_t bytes;
    json_error_t error;
    snprintf(path, sizeof path, "%s/cfg.json", from->path);
    int result = file_read(path, CFG_MOST_BYTES, &text, &bytes);
    if (result != ERR_OK) return result;
    from->cfg = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    free(text);
    if (!json_is_object(from->cfg))
        return err_set(ERR_FORMAT, "%s: %s", path, from->cfg ? "it is no JSON object" : error.text);
    return ERR_OK;
}

static int open_layout(struct import *from, const struct layout *layout, struct pool *pool,
                       struct model *model)
{
    char path[PATH_MAX + 32];
    struct model m = {0};
    snprintf(path, sizeof path, "%s/%s", from->path, layout->file);
    int result = read_cfg(from);
    if (result == ERR_OK) result = safetensors_open(path, &from->weights);
    if (result == ERR_OK) result = layout->options(from);
    const struct sae_options *o = &from->options;
    if (result == ERR_OK && o->skip)
        result = import_has(from, "W_skip", sae_out_width(o), sae_in_width(o), 0);
    from->options.pool = pool;
    from->options.batch_rows = ROWS_AT_ONCE;
    if (result == ERR_OK) {
        result = encoder_new(&from->options, &m.encoder);
        if (result == ERR_USAGE) /* what the folder says, not what its user does */
            result = err_set(ERR_FORMAT, "%s/cfg.json: %s", from->path, err_text());
    }
    if (result == ERR_OK) result = layout->weights(from, m.encoder);
    if (result == ERR_OK) {
        encoder_derive(m.encoder);
        *model = m;
    } else {
        model_close(&m);
    }
    return result;
}

static const struct layout *layout_of(const char *folder)
{
    char path[PATH_MAX];
    for (int i = 0; i < LAYOUTS; i++) {
        if (snprintf(path, sizeof path, "%s/%s", folder, layouts[i].file) >= PATH_MAX) break;
        if (access(path, F_OK) == 0) return &layouts[i];
    }
    return NULL;
}

/* The one folder below that holds an SAE: path[PATH_MAX]. Its layout; NULL: none, or several. */
static const struct layout *layout_below(const char *folder, char *path)
{
    const struct layout *found = NULL;
    char below[PATH_MAX];
    struct dirent *entry;
    DIR *dir = opendir(folder);
    int count = 0;
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.') continue;
        if (snprintf(below, sizeof below, "%s/%s", folder, entry->d_name) >= PATH_MAX) continue;
        const struct layout *layout = layout_of(below);
        if (!layout) continue;
        count++;
        found = layout;
        snprintf(path, PATH_MAX, "%s", below);
    }
    if (dir) closedir(dir);
    return count == 1 ? found : NULL;
}

int import_open(const char *folder, struct pool *pool, struct model *model,
                struct import_facts *facts)
{
    char below[PATH_MAX];
    struct import from = {.path = folder};
    const struct layout *layout = strlen(folder) < PATH_MAX - 64 ? layout_of(folder) : NULL;
    if (!layout && (layout = layout_below(folder, below))) from.path = below;
    if (!layout)
        return err_set(ERR_NOTFOUND,
                       "%s holds no SAE: neither %s (SAELens) nor %s (sparsify) nor %s (our own "
                       "layout) is in it, nor in just one folder below",
                       folder, layouts[0].file, layouts[1].file, layouts[2].file);
    int result = open_layout(&from, layout, pool, model);
    if (result == ERR_OK) read_facts(&from, layout, facts);
    safetensors_close(from.weights);
    json_decref(from.cfg);
    return result;
}
