#include "wiring/provenance.h"

#include "base/row.h"

#include <math.h>

static void put(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

/* JSON knows no infinity; null: not known. */
static void put_number(json_t *object, const char *key, double x)
{
    put(object, key, isfinite(x) ? json_real(x) : json_null());
}

static void put_count(json_t *object, const char *key, uint64_t n)
{
    put(object, key, json_integer((json_int_t)n));
}

static void put_text(json_t *object, const char *key, const char *text)
{
    json_t *string = text && text[0] ? json_string(text) : NULL;
    put(object, key, string ? string : json_null());
}

static json_t *hooks(const struct descriptor *d)
{
    json_t *list = json_array();
    for (uint32_t h = 0; h < d->hooks; h++) {
        json_t *hook = json_object();
        put_text(hook, "name", d->hook[h].name);
        put_count(hook, "width", d->hook[h].width);
        put_number(hook, "folded_scale", d->hook[h].scale);
        put_number(hook, "norm_median", d->hook[h].norm_median);
        put_number(hook, "norm_limit", d->hook[h].norm_limit > 0 ? d->hook[h].norm_limit : NAN);
        json_array_append_new(list, hook);
    }
    return list;
}

static const char *dtype_text(uint8_t dtype)
{
    if (dtype == DTYPE_F32) return "float32";
    return dtype == DTYPE_BF16 ? "bfloat16" : "int8";
}

void provenance_put(json_t *m, const struct descriptor *d, const char *dataset)
{
    put_text(m, "sluice_version", SLUICE_VERSION);
    put_text(m, "stream", d->stream);
    put_text(m, "dataset_path", dataset);
    put_text(m, "model_file", d->model);
    put_text(m, "engine", d->engine);
    put_text(m, "model_precision", d->precision);
    put_text(m, "model_source_precision", d->source_precision);
    put(m, "model_layers_kept", d->layers_kept ? json_integer(d->layers_kept) : json_null());
    put_number(m, "model_prepared_fve", d->prepared_fve != 0 ? d->prepared_fve : NAN);
    put_text(m, "row_dtype", dtype_text(d->dtype));
    put(m, "hooks", hooks(d));
    put_number(m, "max_norm_ratio", d->max_norm_ratio > 0 ? d->max_norm_ratio : NAN);
    put(m, "keeps_special_tokens", json_boolean(d->keep_special));
    put(m, "keeps_first_tokens", json_boolean(d->keep_sinks));
    put(m, "sheds_under_load", json_boolean(d->shed));
    put_count(m, "held_out_one_in", d->held_out_one_in);
}
