#include "inspect/index_facts.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/json_put.h"
#include "base/own.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char format_name[] = "sluice feature index";
enum { MOST_BYTES = 1 << 20 };

static void put_hash(json_t *o, const char *key, uint64_t hash)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    json_put_text(o, key, text);
}

json_t *index_facts_json(const struct index_facts *f)
{
    json_t *o = json_object(), *hooks = json_array();
    if (!o || !hooks) {
        json_decref(o);
        json_decref(hooks);
        return NULL;
    }
    for (uint32_t h = 0; h < f->hooks; h++) json_array_append_new(hooks, json_string(f->hook[h]));
    json_put_text(o, "format", format_name);
    json_put_count(o, "version", INDEX_VERSION);
    json_put_text(o, "sae", f->name);
    json_put_text(o, "layout", f->layout);
    put_hash(o, "sae_fingerprint", f->fingerprint);
    json_put(o, "hooks", hooks);
    json_put_text(o, "model", f->model);
    json_put_text(o, "precision", f->precision);
    put_hash(o, "model_hash", f->model_hash);
    put_hash(o, "corpus_hash", f->corpus_hash);
    put_hash(o, "settings_hash", f->settings_hash);
    json_put_count(o, "context_tokens", f->context_tokens);
    json_put_count(o, "features", f->features);
    json_put_count(o, "rows", f->rows);
    json_put_count(o, "kept_rows", f->kept_rows);
    json_put_count(o, "data_bytes", f->data_bytes);
    put_hash(o, "table_hash", f->table_hash);
    json_put_count(o, "tokens", f->tokens);
    json_put_count(o, "tokens_bytes", f->tokens_bytes);
    put_hash(o, "tokens_hash", f->tokens_hash);
    return o;
}

int index_facts_write(const char *folder, const struct index_facts *facts)
{
    char path[INDEX_PATH_BYTES];
    json_t *o = index_facts_json(facts);
    char *text = o ? json_dumps(o, JSON_INDENT(1)) : NULL;
    json_decref(o);
    if (!text) return err_set(ERR_NOMEM, "no memory for an index");
    snprintf(path, sizeof path, "%.4000s/index.json", folder);
    int result = file_replace(path, text, strlen(text));
    free(text);
    return result;
}

/* ---- reading ---- */

static int take_text(const json_t *o, const char *key, char *out, size_t bytes)
{
    const json_t *value = json_object_get(o, key);
    const char *text = json_is_null(value) ? "" : json_string_value(value);
    return text && snprintf(out, bytes, "%s", text) < (int)bytes;
}

static int take_count(const json_t *o, const char *key, uint64_t most, uint64_t *out)
{
    const json_t *value = json_object_get(o, key);
    json_int_t n = json_integer_value(value);
    *out = (uint64_t)n;
    return json_is_integer(value) && n >= 0 && (uint64_t)n <= most;
}

static int take_count32(const json_t *o, const char *key, uint32_t most, uint32_t *out)
{
    uint64_t n;
    int is_one = take_count(o, key, most, &n);
    *out = (uint32_t)n;
    return is_one;
}

static int take_hash(const json_t *o, const char *key, uint64_t *out)
{
    const char *text = json_string_value(json_object_get(o, key));
    if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) return 0;
    *out = strtoull(text, NULL, 16);
    return 1;
}

static int take_hooks(const json_t *o, struct index_facts *f)
{
    const json_t *hooks = json_object_get(o, "hooks");
    size_t count = json_array_size(hooks);
    if (count == 0 || count > ROW_MAX_HOOKS) return 0;
    for (f->hooks = 0; f->hooks < count; f->hooks++) {
        const char *name = json_string_value(json_array_get(hooks, f->hooks));
        if (!name || strlen(name) >= sizeof f->hook[0]) return 0;
        strcpy(f->hook[f->hooks], name);
    }
    return 1;
}

static int take_all(const json_t *o, struct index_facts *f)
{
    const uint64_t many = INT64_MAX;
    return take_text(o, "sae", f->name, sizeof f->name) &&
           take_text(o, "layout", f->layout, sizeof f->layout) &&
           take_hash(o, "sae_fingerprint", &f->fingerprint) && take_hooks(o, f) &&
           take_text(o, "model", f->model, sizeof f->model) &&
           take_text(o, "precision", f->precision, sizeof f->precision) &&
           take_hash(o, "model_hash", &f->model_hash) &&
           take_hash(o, "corpus_hash", &f->corpus_hash) &&
           take_hash(o, "settings_hash", &f->settings_hash) &&
           take_count32(o, "context_tokens", UINT32_MAX, &f->context_tokens) &&
           take_count32(o, "features", INDEX_MOST_FEATURES, &f->features) &&
           take_count(o, "rows", UINT32_MAX, &f->rows) &&
           take_count(o, "kept_rows", f->rows, &f->kept_rows) && f->features > 0 &&
           f->kept_rows > 0 && take_count(o, "data_bytes", many, &f->data_bytes) &&
           take_hash(o, "table_hash", &f->table_hash) &&
           take_count32(o, "tokens", INDEX_MOST_TOKENS, &f->tokens) &&
           take_count(o, "tokens_bytes", UINT32_MAX, &f->tokens_bytes) &&
           take_hash(o, "tokens_hash", &f->tokens_hash);
}

int index_facts_parse(const char *text, size_t bytes, const char *path, struct index_facts *facts)
{
    struct index_facts f = {0};
    json_error_t error;
    json_t *o = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    const char *format = json_string_value(json_object_get(o, "format"));
    json_int_t version = json_integer_value(json_object_get(o, "version"));
    int result = ERR_OK;
    if (!o || !format || strcmp(format, format_name) != 0)
        result =
            err_set(ERR_FORMAT, "%s is no feature index; HINT: `sluice inspect` makes one", path);
    else if (version != INDEX_VERSION)
        result =
            err_set(ERR_VERSION,
                    "%s is of version %lld of the index, and this build reads %d; HINT: inspect "
                    "again, or use the Sluice that made it",
                    path, (long long)version, INDEX_VERSION);
    else if (!take_all(o, &f))
        result = err_set(ERR_FORMAT, "%s is damaged; HINT: copy it again, or inspect again", path);
    json_decref(o);
    if (result == ERR_OK) *facts = f;
    return result;
}

int index_facts_read(const char *folder, struct index_facts *facts)
{
    char path[INDEX_PATH_BYTES], *text;
    size_t bytes;
    snprintf(path, sizeof path, "%.4000s/index.json", folder);
    int result = own_read(path, MOST_BYTES, &text, &bytes);
    if (result != ERR_OK) return result;
    result = index_facts_parse(text, bytes, path, facts);
    free(text);
    return result;
}
