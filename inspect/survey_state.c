#include "inspect/survey_state.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 16, VERSION = 1 };

/* Numbers of 64 bits as jansson's signed ones: the bits are the same. */
int survey_state_write(const char *folder, const struct survey_state *s)
{
    char path[4096];
    json_t *o = json_pack(
        "{s:i, s:I, s:I, s:I, s:I, s:i, s:[I,I,I,I], s:I, s:I, s:I, s:I, s:I}", "version", VERSION,
        "fingerprint", (json_int_t)s->fingerprint, "model", (json_int_t)s->model_hash, "corpus",
        (json_int_t)s->corpus_hash, "settings", (json_int_t)s->settings_hash, "phase",
        (int)s->phase, "cursor", (json_int_t)s->cursor.document, (json_int_t)s->cursor.offset,
        (json_int_t)s->cursor.sequence, (json_int_t)s->cursor.position, "rows", (json_int_t)s->rows,
        "kept_rows", (json_int_t)s->kept_rows, "fired", (json_int_t)s->fired, "features",
        (json_int_t)s->features, "data_bytes", (json_int_t)s->data_bytes);
    char *text = o ? json_dumps(o, 0) : NULL;
    json_decref(o);
    if (!text) return err_set(ERR_NOMEM, "no memory for an index");
    snprintf(path, sizeof path, "%.4000s/state.json", folder);
    int result = file_replace(path, text, strlen(text));
    free(text);
    return result;
}

static int take(json_t *o, struct survey_state *s)
{
    json_int_t fingerprint, model, corpus, settings, document, offset, sequence, position;
    json_int_t rows, kept, fired, features, bytes;
    int version, phase;
    if (json_unpack(o, "{s:i, s:I, s:I, s:I, s:I, s:i, s:[I,I,I,I], s:I, s:I, s:I, s:I, s:I}",
                    "version", &version, "fingerprint", &fingerprint, "model", &model, "corpus",
                    &corpus, "settings", &settings, "phase", &phase, "cursor", &document, &offset,
                    &sequence, &position, "rows", &rows, "kept_rows", &kept, "fired", &fired,
                    "features", &features, "data_bytes", &bytes) != 0)
        return 0;
    if (version != VERSION || phase < SURVEY_GATHERS || phase > SURVEY_WRITES || rows < 0 ||
        rows > UINT32_MAX || kept < 0 || kept > rows || fired < 0 || fired > INT64_MAX / 64 ||
        features < 0 || features > UINT32_MAX || bytes < 0 || position < 0 || position > UINT32_MAX)
        return 0;
    *s = (struct survey_state){
        .fingerprint = (uint64_t)fingerprint,
        .model_hash = (uint64_t)model,
        .corpus_hash = (uint64_t)corpus,
        .settings_hash = (uint64_t)settings,
        .phase = (enum survey_phase)phase,
        .cursor = {(uint64_t)document, (uint64_t)offset, (uint64_t)sequence, (uint32_t)position, 0},
        .rows = (uint64_t)rows,
        .kept_rows = (uint64_t)kept,
        .fired = (uint64_t)fired,
        .features = (uint32_t)features,
        .data_bytes = (uint64_t)bytes,
    };
    return 1;
}

int survey_state_read(const char *folder, struct survey_state *state)
{
    char path[4096], *text;
    size_t bytes;
    snprintf(path, sizeof path, "%.4000s/state.json", folder);
    int result = own_read(path, MOST_BYTES, &text, &bytes);
    if (result != ERR_OK) return result;
    json_t *o = json_loadb(text, bytes, 0, NULL);
    free(text);
    if (!o || !take(o, state))
        result =
            err_set(ERR_CORRUPT, "%s is damaged; HINT: remove the folder and inspect again", path);
    json_decref(o);
    return result;
}
