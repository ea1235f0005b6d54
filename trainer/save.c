#include "trainer/save.h"

#include "base/err.h"
#include "sae/checkpoint.h"
#include "wiring/changes.h"
#include "wiring/sections.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAVE_VERSION = 1 };

static char *words_encode(const struct save *s)
{
    json_t *words = json_pack(
        "{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:I}",
        "version", SAVE_VERSION, "held_out_hash", (json_int_t)s->held_out_hash, "held_out_rows",
        (json_int_t)s->held_out_rows, "steps", (json_int_t)s->steps, "rows", (json_int_t)s->rows,
        "reuse", (json_int_t)s->reuse, "seed", (json_int_t)s->seed, "batch_rows",
        (json_int_t)s->plan.batch_rows, "saes", (json_int_t)s->saes, "seconds", s->seconds,
        "written_seconds", s->written_seconds, "planned_rows", (json_int_t)s->plan.planned_rows,
        "planned_steps", (json_int_t)s->plan.planned_steps, "changes_known_from_step",
        (json_int_t)s->known_from_steps, "earlier_rows", (json_int_t)s->earlier_rows,
        "undrawn_rows", (json_int_t)s->undrawn_rows);
    if (words && s->settings) json_object_set(words, "settings", s->settings);
    if (words && s->changes) json_object_set(words, "changes", s->changes);
    if (words && s->whiten) json_object_set_new(words, "whiten", json_true());
    char *text = words ? json_dumps(words, JSON_INDENT(1)) : NULL;
    json_decref(words);
    return text;
}

/* What older builds did not write. */
static int younger_words(json_t *words, struct save *s)
{
    json_int_t planned_rows = -1, planned_steps = 0, known = 0, earlier = 0, undrawn = 0;
    double written_seconds = 0;
    json_t *settings = NULL, *changes = NULL;
    if (json_unpack(words, "{s?I, s?I, s?I, s?I, s?I, s?F, s?o, s?o}", "planned_rows",
                    &planned_rows, "planned_steps", &planned_steps, "changes_known_from_step",
                    &known, "earlier_rows", &earlier, "undrawn_rows", &undrawn, "written_seconds",
                    &written_seconds, "settings", &settings, "changes", &changes) != 0 ||
        earlier < 0 || undrawn < 0 || (settings && !json_is_object(settings)) ||
        (changes && !json_is_array(changes)))
        return -1;
    s->plan.is_old = planned_rows < 0;
    s->plan.planned_rows = s->plan.is_old ? 0 : (uint64_t)planned_rows;
    s->plan.planned_steps = (uint64_t)planned_steps;
    s->known_from_steps = (uint64_t)known;
    s->earlier_rows = (uint64_t)earlier;
    s->undrawn_rows = (uint64_t)undrawn;
    s->written_seconds = written_seconds;
    s->whitened = json_is_true(json_object_get(words, "whiten"));
    s->settings = json_incref(settings);
    s->changes = json_incref(changes);
    return 0;
}

static int is_u32(json_int_t n)
{
    return n >= 0 && n <= UINT32_MAX;
}

static int words_decode(const char *text, size_t bytes, struct save *s)
{
    json_error_t error;
    json_t *words = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    json_int_t version, held_out, hash = 0, steps, rows, reuse, seed, batch, saes;
    int bad = !words ||
              json_unpack(words, "{s:I, s:I, s?I, s:I, s:I, s:I, s:I, s:I, s:I, s:F}", "version",
                          &version, "held_out_rows", &held_out, "held_out_hash", &hash, "steps",
                          &steps, "rows", &rows, "reuse", &reuse, "seed", &seed, "batch_rows",
                          &batch, "saes", &saes, "seconds", &s->seconds) != 0 ||
              younger_words(words, s) != 0;
    json_decref(words);
    if (bad || held_out < 0 || steps < 0 || rows < 0 || !is_u32(reuse) || !is_u32(batch) ||
        !is_u32(saes) || !isfinite(s->seconds))
        return err_set(ERR_FORMAT, "the section 'trainer' is malformed");
    if (version != SAVE_VERSION)
        return err_set(ERR_VERSION, "the checkpoint is of version %lld, this trainer knows %d",
                       (long long)version, SAVE_VERSION);
    s->held_out_rows = (uint64_t)held_out;
    s->held_out_hash = (uint64_t)hash;
    s->steps = (uint64_t)steps;
    s->rows = (uint64_t)rows;
    s->reuse = (uint32_t)reuse;
    s->seed = (uint64_t)seed;
    s->plan.batch_rows = (uint32_t)batch;
    s->saes = (uint32_t)saes;
    return ERR_OK;
}

static int put_all(struct checkpoint_writer *writer, const struct save *save,
                   struct sae *const *saes)
{
    char name[SECTION_SAE_BYTES];
    void *state = NULL;
    size_t state_bytes = 0;
    char *words = words_encode(save);
    int result = words ? ERR_OK : err_set(ERR_NOMEM, "no memory for a checkpoint");
    if (result == ERR_OK) result = checkpoint_put(writer, SECTION_TRAINER, words, strlen(words));
    if (result == ERR_OK)
        result =
            checkpoint_put(writer, SECTION_DESCRIPTOR, save->descriptor, strlen(save->descriptor));
    if (result == ERR_OK && save->whiten) result = whiten_save(save->whiten, writer);
    if (result == ERR_OK) result = consumer_state_encode(&save->state, &state, &state_bytes);
    if (result == ERR_OK) result = checkpoint_put(writer, SECTION_CONSUMER, state, state_bytes);
    for (uint32_t i = 0; i < save->saes && result == ERR_OK; i++) {
        section_sae(i, name);
        result = sae_save(saes[i], writer, name);
    }
    free(state);
    free(words);
    return result;
}

int save_write(const char *folder, const struct save *save, struct sae *const *saes, uint32_t keep)
{
    struct checkpoint_writer *writer;
    int result = checkpoint_begin(folder, save->steps, &writer);
    if (result != ERR_OK) return result;
    result = put_all(writer, save, saes);
    if (result == ERR_OK) return checkpoint_commit(writer, keep);
    checkpoint_abort(writer);
    return result;
}

/* A checkpoint of an older build: what its SAEs were trained with of late. What was changed before
 * it is not known. */
static int take_old_settings(const struct checkpoint *c, struct save *save)
{
    char name[SECTION_SAE_BYTES];
    int result = ERR_OK;
    if (save->settings || save->saes == 0 || save->saes > CONFIG_MAX_SAES) return ERR_OK;
    struct sae_options *options = calloc(save->saes, sizeof *options);
    if (!options) return err_set(ERR_NOMEM, "no memory for a checkpoint");
    for (uint32_t i = 0; i < save->saes && result == ERR_OK; i++) {
        section_sae(i, name);
        result = sae_saved_options(c, name, &options[i]);
    }
    if (result == ERR_OK) {
        save->settings = changes_settings_of(options, save->saes);
        save->known_from_steps = save->steps;
        save->plan.planned_steps = options[0].planned_steps;
    }
    free(options);
    return result;
}

/* With a hint they have room in an error's text. */
enum { WHY_BYTES = 255, PLACE_BYTES = 600, DIFFERENCE_BYTES = 511 };

/* A section that is not there is no missing checkpoint: training would begin anew, in silence. Of a
 * path that is very long the end is told, which names the file. */
static int about(int code, const struct checkpoint *c)
{
    const char *path = checkpoint_path(c);
    size_t length = strlen(path);
    return err_set(code == ERR_NOTFOUND ? ERR_FORMAT : code,
                   "%s%s: %.*s; HINT: move it away to go on from the one before, if there is one, "
                   "or start all of the run over with --fresh",
                   length > PLACE_BYTES ? "..." : "",
                   length > PLACE_BYTES ? path + length - PLACE_BYTES : path, WHY_BYTES,
                   err_text());
}

/* The folder, the files and what is wrong with them are in the text already. */
static int about_newest(int code)
{
    if (code == ERR_CORRUPT)
        return err_set(code,
                       "%s; HINT: put a copy of one back. Without any, move them away, and this "
                       "consumer trains anew from the stream's first row, while others keep what "
                       "they have; or start all of the run over with --fresh",
                       err_text());
    if (code == ERR_VERSION)
        return err_set(
            code,
            "%s; HINT: go on with the build that wrote it, or move it away to go on from "
            "an older one",
            err_text());
    if (code == ERR_IO)
        return err_set(code, "%s; HINT: let this user read it, or move it away", err_text());
    return code;
}

static int take_all(const struct checkpoint *c, struct save *save)
{
    const void *data;
    size_t bytes;
    int result = checkpoint_find(c, SECTION_TRAINER, &data, &bytes);
    if (result == ERR_OK) result = words_decode(data, bytes, save);
    if (result == ERR_OK) result = checkpoint_find(c, SECTION_DESCRIPTOR, &data, &bytes);
    if (result == ERR_OK) {
        save->descriptor = strndup(data, bytes);
        if (!save->descriptor) result = err_set(ERR_NOMEM, "no memory for a checkpoint");
    }
    if (result == ERR_OK) result = checkpoint_find(c, SECTION_CONSUMER, &data, &bytes);
    if (result == ERR_OK) result = consumer_state_decode(data, bytes, &save->state);
    if (result == ERR_OK) result = take_old_settings(c, save);
    return result;
}

int save_read(const char *folder, struct save *save, struct checkpoint **checkpoint,
              unsigned *damaged)
{
    *save = (struct save){0};
    *checkpoint = NULL;
    int result = checkpoint_newest(folder, checkpoint, damaged);
    if (result != ERR_OK) return about_newest(result);
    result = take_all(*checkpoint, save);
    if (result == ERR_OK) return ERR_OK;
    result = about(result, *checkpoint);
    save_free(save);
    checkpoint_close(*checkpoint);
    *checkpoint = NULL;
    return result;
}

static int sae_differs(const struct config *config, uint32_t i)
{
    return err_set(ERR_MISMATCH,
                   "trainer.saes.%u: %.*s; HINT: set it back, or start over with --fresh",
                   config_item_of(config, i), DIFFERENCE_BYTES, err_text());
}

int save_load_saes(const struct config *config, const struct checkpoint *checkpoint,
                   struct sae *const *saes, uint32_t count)
{
    char name[SECTION_SAE_BYTES];
    int result = ERR_OK;
    for (uint32_t i = 0; i < count && result == ERR_OK; i++) {
        section_sae(i, name);
        result = sae_load(saes[i], checkpoint, name);
        if (result == ERR_MISMATCH)
            result = sae_differs(config, i);
        else if (result != ERR_OK)
            result = about(result, checkpoint);
    }
    return result;
}

static int key_differs(const char *key, unsigned long long old, unsigned long long now)
{
    return err_set(ERR_MISMATCH,
                   "%s was %llu when this run began and is %llu now; HINT: set it back, or start "
                   "over with --fresh",
                   key, old, now);
}

int save_match(const struct save *s, const struct config *config)
{
    const struct config_trainer *t = &config->trainer;
    if (s->reuse != t->reuse) return key_differs("trainer.reuse", s->reuse, t->reuse);
    if (s->seed != t->seed) return key_differs("trainer.seed", s->seed, t->seed);
    if (s->whitened != t->whiten)
        return err_set(ERR_MISMATCH,
                       "trainer.whiten was %s when this run began and is %s now; HINT: set it "
                       "back, or start over with --fresh",
                       s->whitened ? "true" : "false", t->whiten ? "true" : "false");
    if (s->saes != t->saes_count)
        return key_differs("the number of trainer.saes", s->saes, t->saes_count);
    return ERR_OK;
}

void save_free(struct save *save)
{
    free(save->descriptor);
    json_decref(save->settings);
    json_decref(save->changes);
    consumer_state_free(&save->state);
    *save = (struct save){0};
}
