#include "engine/ring_judge.h"

#include "base/err.h"
#include "engine/fingerprint.h"
#include "engine/settings.h"

#include <stdio.h>
#include <string.h>

static int check_hooks(const struct ring_judge *j, const struct ring_facts *f)
{
    const struct engine_options *o = j->options;
    int same = f->hooks == o->hooks_count;
    for (uint32_t h = 0; same && h < f->hooks; h++) {
        same = strcmp(f->hook[h].name, o->hooks[h]) == 0;
        if (same && j->is_described) same = f->hook[h].width == j->info->hook[h].width;
    }
    if (same) return ERR_OK;
    return err_set(
        ERR_MISMATCH,
        "its hooks are others than the stream's (%s of %u values%s; the stream has %s%s)",
        f->hook[0].name, f->hook[0].width, f->hooks > 1 ? " and more" : "", o->hooks[0],
        o->hooks_count > 1 ? " and more" : "");
}

/* What tells one model from another: not its file's path, which is another one's in another container,
 * or later. */
static int model_hash(const struct ring_facts *f, uint64_t *hash)
{
    if (f->model_file[0] && !f->model_key)
        return err_set(ERR_MISMATCH, "it does not tell its model, %s, from others (no model_key)",
                       f->model);
    *hash = fingerprint_add_u64(fingerprint_add_text(0, f->model_file[0] ? "" : f->model),
                                f->model_key);
    return ERR_OK;
}

static int check_model(const struct ring_judge *j, const struct ring_facts *f)
{
    uint64_t hash;
    int result = model_hash(f, &hash);
    if (result != ERR_OK || hash == j->info->model_hash) return result;
    return err_set(ERR_MISMATCH, "its model, %.120s, is another than the stream's%s%.120s",
                   f->model, strcmp(f->model, j->model) == 0 ? ", which has the name " : ", ",
                   j->model);
}

int ring_judge(const struct ring_judge *j, const struct ring_facts *f)
{
    if (strcmp(f->stream, j->options->stream) != 0)
        return err_set(ERR_MISMATCH, "it is of stream %s", f->stream);
    int result = check_hooks(j, f);
    return result == ERR_OK && j->is_described ? check_model(j, f) : result;
}

int ring_judge_describe(struct ring_judge *j, const struct ring_facts *f)
{
    struct engine_info *info = j->info;
    int result = model_hash(f, &info->model_hash);
    if (result != ERR_OK) return result;
    snprintf(j->model, sizeof j->model, "%s", f->model);
    snprintf(j->precision, sizeof j->precision, "%s", f->precision[0] ? f->precision : "unknown");
    info->hooks = f->hooks;
    for (uint32_t h = 0; h < f->hooks; h++) {
        memcpy(info->hook[h].name, f->hook[h].name, sizeof info->hook[h].name);
        info->hook[h].width = f->hook[h].width;
    }
    info->model = j->model;
    info->precision = info->source_precision = j->precision;
    info->prepared_fve = 1;
    info->prepends_bos = (int)f->prepends_bos;
    info->context_tokens = j->options->context_tokens;
    info->corpus_hash = fingerprint_add_text(0, "ring");
    info->resumable = info->is_live = 1;
    settings_text(info, "engine", "ring");
    j->is_described = 1;
    return ERR_OK;
}
