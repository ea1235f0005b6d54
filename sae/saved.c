#include "sae/saved.h"

#include "base/err.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int saved_put(struct checkpoint_writer *writer, const char *name, const char *part,
              const void *data, size_t bytes)
{
    char section[2 * CHECKPOINT_NAME_BYTES];
    snprintf(section, sizeof section, "%s.%s", name, part);
    return checkpoint_put(writer, section, data, bytes);
}

int saved_find(const struct checkpoint *checkpoint, const char *name, const char *part,
               size_t bytes, const void **data, size_t *found_bytes)
{
    char section[2 * CHECKPOINT_NAME_BYTES];
    snprintf(section, sizeof section, "%s.%s", name, part);
    int result = checkpoint_find(checkpoint, section, data, found_bytes);
    if (result == ERR_OK && bytes != SIZE_MAX && *found_bytes != bytes)
        return err_set(ERR_FORMAT, "checkpoint section '%s' has %zu bytes, not %zu", section,
                       *found_bytes, bytes);
    return result;
}

/* One table for writing and reading: key, and where the value lies. */
enum kind { U32, U64, F64 };
static const struct field {
    const char *key;
    enum kind kind;
    size_t offset;
    int must_match; /* belongs to the data or the parameters: may not change in mid-run */
} fields[] = {
#define FIELD(kind, name, must_match)                                                              \
    {                                                                                              \
#name, kind, offsetof(struct sae_options, name), must_match                                \
    }
    FIELD(U32, width, 1),           FIELD(U32, width_in, 1),
    FIELD(U32, hooks, 1),           FIELD(U32, skip, 1),
    FIELD(U32, features, 1),        FIELD(U32, k, 1),
    FIELD(U32, levels, 1),          FIELD(F64, lambda, 0),
    FIELD(F64, lambda_ramp, 0),     FIELD(F64, target_l0, 0),
    FIELD(F64, bandwidth, 0),       FIELD(F64, pre_act_coefficient, 0),
    FIELD(F64, aux_coefficient, 0), FIELD(U32, k_aux, 1),
    FIELD(F64, learning_rate, 0),   FIELD(F64, decoder_lr_factor, 0),
    FIELD(F64, warmup, 0),          FIELD(F64, decay, 0),
    FIELD(F64, beta1, 0),           FIELD(F64, beta2, 0),
    FIELD(F64, epsilon, 0),         FIELD(F64, clip_norm, 0),
    FIELD(U64, planned_steps, 0),   FIELD(U64, dead_window_rows, 0),
    FIELD(U32, batch_rows, 0),      FIELD(U64, seed, 1),
#undef FIELD
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

static json_t *field_value(const struct sae_options *options, const struct field *field)
{
    const char *at = (const char *)options + field->offset;
    if (field->kind == F64) return json_real(*(const double *)(const void *)at);
    uint64_t n = field->kind == U32 ? *(const uint32_t *)(const void *)at
                                    : *(const uint64_t *)(const void *)at;
    return json_integer((json_int_t)n); /* a u64 above 2^63 is written negative and comes back */
}

int saved_options_put(struct checkpoint_writer *writer, const char *name,
                      const struct sae_options *options)
{
    json_t *object = json_object();
    json_object_set_new(object, "arch", json_string(sae_arch_name(options->arch)));
    json_object_set_new(object, "activation", json_string(sae_arch_name(options->activation)));
    for (int i = 0; i < FIELDS; i++)
        json_object_set_new(object, fields[i].key, field_value(options, &fields[i]));
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(object);
    if (!text) return err_set(ERR_NOMEM, "no memory to write a checkpoint");
    int result = saved_put(writer, name, "options", text, strlen(text));
    free(text);
    return result;
}

static int read_field(const json_t *object, const struct field *field, struct sae_options *options)
{
    char *at = (char *)options + field->offset;
    const json_t *value = json_object_get(object, field->key);
    json_int_t n = json_integer_value(value);
    if (!value) return ERR_OK; /* an option that is younger than the checkpoint: the default */
    if (field->kind == F64 && json_is_number(value))
        *(double *)(void *)at = json_number_value(value);
    else if (field->kind == U64 && json_is_integer(value))
        *(uint64_t *)(void *)at = (uint64_t)n;
    else if (field->kind == U32 && json_is_integer(value) && n >= 0 && n <= UINT32_MAX)
        *(uint32_t *)(void *)at = (uint32_t)n;
    else
        return err_set(ERR_FORMAT, "a checkpoint's SAE options have no proper '%s'", field->key);
    return ERR_OK;
}

/* A checkpoint that is older than the key has none: the default. */
static int read_activation(const json_t *object, struct sae_options *options)
{
    const json_t *value = json_object_get(object, "activation");
    if (!value) return ERR_OK;
    int activation = json_is_string(value) ? sae_arch_by_name(json_string_value(value)) : -1;
    if (activation < 0)
        return err_set(ERR_FORMAT, "a checkpoint's SAE options have no proper 'activation'");
    options->activation = (enum sae_arch)activation;
    return ERR_OK;
}

int sae_saved_options(const struct checkpoint *checkpoint, const char *name,
                      struct sae_options *options)
{
    const void *data;
    size_t bytes;
    int result = saved_find(checkpoint, name, "options", SIZE_MAX, &data, &bytes);
    if (result != ERR_OK) return result;
    json_error_t error;
    json_t *object = json_loadb(data, bytes, JSON_REJECT_DUPLICATES, &error);
    if (!object) return err_set(ERR_FORMAT, "a checkpoint's SAE options: %s", error.text);
    struct sae_options read;
    const char *arch_name = json_string_value(json_object_get(object, "arch"));
    int arch = arch_name ? sae_arch_by_name(arch_name) : -1;
    if (arch < 0)
        result = err_set(ERR_VERSION,
                         "a checkpoint's SAE has the architecture '%.40s', unknown to "
                         "this build",
                         arch_name ? arch_name : "");
    if (result == ERR_OK) sae_options_default((enum sae_arch)arch, &read);
    if (result == ERR_OK) result = read_activation(object, &read);
    for (int i = 0; i < FIELDS && result == ERR_OK; i++)
        result = read_field(object, &fields[i], &read);
    json_decref(object);
    if (result != ERR_OK) return result;
    *options = read;
    return ERR_OK;
}

int saved_options_match(const struct sae_options *then, const struct sae_options *now)
{
    if (then->arch != now->arch)
        return err_set(ERR_MISMATCH, "arch: the checkpoint has %s, the configuration %s",
                       sae_arch_name(then->arch), sae_arch_name(now->arch));
    if (then->activation != now->activation)
        return err_set(ERR_MISMATCH, "activation: the checkpoint has %s, the configuration %s",
                       sae_arch_name(then->activation), sae_arch_name(now->activation));
    for (int i = 0; i < FIELDS; i++) {
        if (!fields[i].must_match) continue;
        json_t *a = field_value(then, &fields[i]), *b = field_value(now, &fields[i]);
        long long x = json_integer_value(a), y = json_integer_value(b);
        json_decref(a);
        json_decref(b);
        if (x != y)
            return err_set(ERR_MISMATCH, "%s: the checkpoint has %lld, the configuration %lld",
                           fields[i].key, x, y);
    }
    return ERR_OK;
}
