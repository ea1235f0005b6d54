#include "engine/llama_record.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/json_put.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_BYTES = 4096 };

static json_t *read_record(const char *path)
{
    char *text;
    size_t bytes;
    if (file_read(path, RECORD_BYTES, &text, &bytes) != ERR_OK) return NULL;
    json_t *record = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    return record;
}

static int keep_record(const char *path, json_t *record)
{
    char *text = record ? json_dumps(record, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
    json_decref(record);
    if (!text) return err_set(ERR_NOMEM, "no memory for %s", path);
    int result = file_replace(path, text, strlen(text));
    free(text);
    return result;
}

int llama_record_verdict(const char *path, struct llama_verdict *v)
{
    json_t *record = read_record(path);
    json_t *equal = json_object_get(record, "equal"), *rows = json_object_get(record, "rows");
    json_t *largest = json_object_get(record, "largest_difference");
    const char *why = json_string_value(json_object_get(record, "why"));
    int is_whole = json_is_boolean(equal) && json_is_integer(rows) && largest && why;
    if (is_whole) {
        *v = (struct llama_verdict){.is_equal = json_is_true(equal),
                                    .rows = (uint64_t)json_integer_value(rows),
                                    .largest = json_is_number(largest) ? json_number_value(largest)
                                                                       : INFINITY};
        snprintf(v->why, sizeof v->why, "%s", why);
    }
    json_decref(record);
    return is_whole;
}

int llama_record_keep_verdict(const char *path, const struct llama_verdict *v)
{
    /* Some of llama.cpp's words may be no UTF-8, and a record of nothing would be made each
     * time. */
    json_t *why = json_string(v->why);
    return keep_record(path,
                       json_pack("{s:b, s:I, s:o, s:o}", "equal", v->is_equal, "rows",
                                 (json_int_t)v->rows, "largest_difference", json_finite(v->largest),
                                 "why", why ? why : json_string("llama.cpp cannot run it")));
}

int llama_record_fidelity(const char *path, struct llama_fidelity *f)
{
    json_t *record = read_record(path);
    json_t *fve = json_object_get(record, "fve"), *rows = json_object_get(record, "rows");
    json_t *text = json_object_get(record, "text");
    int is_whole = json_is_boolean(text) && json_is_integer(rows) && fve;
    if (is_whole)
        *f = (struct llama_fidelity){.rows = (uint64_t)json_integer_value(rows),
                                     .fve = json_is_number(fve) ? json_number_value(fve) : NAN,
                                     .is_text = json_is_true(text)};
    json_decref(record);
    return is_whole;
}

int llama_record_keep_fidelity(const char *path, const struct llama_fidelity *f)
{
    return keep_record(path, json_pack("{s:I, s:o, s:b}", "rows", (json_int_t)f->rows, "fve",
                                       json_finite(f->fve), "text", f->is_text));
}
