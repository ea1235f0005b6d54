#include "trainer/jsonl.h"

#include "base/err.h"
#include "base/own.h"
#include "trainer/grown.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char line_begin[] = "{\"step\":";

struct jsonl {
    struct grown file;
    int is_taken_up;
    uint64_t covered_steps; /* of the checkpoint */
    uint64_t last_steps;    /* of the last lines */
    uint64_t last_begin;    /* where they begin */
    uint64_t steps;         /* of the lines that are put together */
    char *text;
    size_t used, room;
};

int jsonl_new(const char *path, uint64_t steps, uint32_t lines, struct jsonl **jsonl)
{
    struct jsonl *j = calloc(1, sizeof *j);
    if (!j) return err_set(ERR_NOMEM, "no memory for %s", path);
    j->covered_steps = steps;
    j->room = (size_t)lines * JSONL_LINE_BYTES;
    j->text = malloc(j->room);
    int result = j->text ? ERR_OK : err_set(ERR_NOMEM, "no memory for %s", path);
    if (snprintf(j->file.path, sizeof j->file.path, "%s", path) >= (int)sizeof j->file.path)
        result = err_set(ERR_LIMIT, "the path %.80s... is too long", path);
    if (result != ERR_OK) {
        jsonl_free(j);
        return result;
    }
    *jsonl = j;
    return ERR_OK;
}

void jsonl_free(struct jsonl *j)
{
    if (!j) return;
    free(j->text);
    free(j);
}

/* Whether it is a whole line of ours that may stand behind the last one. */
static int is_good(const struct jsonl *j, const char *line, size_t bytes, uint64_t *steps)
{
    char *after;
    if (strncmp(line, line_begin, strlen(line_begin)) != 0) return 0;
    *steps = strtoull(line + strlen(line_begin), &after, 10);
    return *after == ',' && *steps >= j->last_steps && *steps <= j->covered_steps && bytes > 2 &&
           strcmp(line + bytes - 2, "}\n") == 0;
}

static void keep(struct jsonl *j, FILE *in)
{
    char line[JSONL_LINE_BYTES + 1];
    uint64_t steps;
    while (fgets(line, sizeof line, in) && is_good(j, line, strlen(line), &steps)) {
        if (steps != j->last_steps) j->last_begin = j->file.bytes;
        j->last_steps = steps;
        j->file.bytes += strlen(line);
    }
}

int jsonl_take_up(struct jsonl *j, uint64_t *cut)
{
    FILE *in;
    *cut = 0;
    if (j->is_taken_up) return ERR_OK;
    j->file.bytes = j->last_begin = j->last_steps = 0;
    int result = own_stream(j->file.path, &in);
    if (result == ERR_NOTFOUND) {
        j->is_taken_up = 1;
        return ERR_OK;
    }
    if (result != ERR_OK) return result;
    keep(j, in);
    fclose(in);
    result = grown_cut(&j->file, cut);
    j->is_taken_up = result == ERR_OK;
    return result;
}

uint64_t jsonl_steps(const struct jsonl *j)
{
    return j->last_steps;
}

/* Where there is no room `used` goes past it, and nothing of the lines is written. */
__attribute__((format(printf, 2, 3))) static void add(struct jsonl *j, const char *format, ...)
{
    va_list list;
    size_t left = j->used < j->room ? j->room - j->used : 0;
    va_start(list, format);
    int n = vsnprintf(left ? j->text + j->used : NULL, left, format, list);
    va_end(list);
    j->used += n > 0 ? (size_t)n : j->room;
}

void jsonl_begin(struct jsonl *j, uint64_t steps)
{
    j->steps = steps;
    add(j, "%s%" PRIu64, line_begin, steps);
}

void jsonl_text(struct jsonl *j, const char *key, const char *value)
{
    add(j, ",\"%s\":\"%s\"", key, value);
}

/* With as many digits as a float needs: the same in both kinds of curves. */
void jsonl_real(struct jsonl *j, const char *key, double value)
{
    if (isfinite(value))
        add(j, ",\"%s\":%.9g", key, value);
    else
        add(j, ",\"%s\":null", key);
}

void jsonl_count(struct jsonl *j, const char *key, uint64_t value)
{
    add(j, ",\"%s\":%" PRIu64, key, value);
}

void jsonl_end(struct jsonl *j)
{
    add(j, "}\n");
}

static int put(struct jsonl *j)
{
    if (j->used >= j->room) return err_set(ERR_LIMIT, "a line for %s is too long", j->file.path);
    if (j->steps != j->last_steps) j->last_begin = j->file.bytes;
    j->last_steps = j->steps;
    j->file.bytes = j->last_begin;
    return grown_put(&j->file, j->text, j->used);
}

/* What was cut or moved away under us is looked at anew: then what is there stays. */
static int put_anew(struct jsonl *j)
{
    uint64_t cut;
    j->is_taken_up = 0;
    j->covered_steps = j->last_steps;
    int result = jsonl_take_up(j, &cut);
    return result == ERR_OK ? put(j) : result;
}

int jsonl_write(struct jsonl *j)
{
    uint64_t cut;
    int result = jsonl_take_up(j, &cut);
    if (result == ERR_OK) result = put(j);
    if (result == ERR_NOTFOUND) result = put_anew(j);
    j->used = 0;
    return result;
}
