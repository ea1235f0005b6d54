#include "runtime/last_error.h"

#include "base/clock.h"
#include "proto/report.h"
#include "runtime/log.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof((struct log_last *)0)->text == REPORT_ERROR_BYTES, "both cut alike");

/* JSON takes UTF-8 alone, and a path may be anything. */
static json_t *text_json(char *text)
{
    json_t *json = json_string(text);
    if (json) return json;
    for (char *p = text; *p; p++)
        if ((unsigned char)*p >= 0x80) *p = '?';
    return json_string(text);
}

/* {"last_error": {...}}; NULL: there was none. */
static char *member(void)
{
    struct log_last last;
    log_last_error(&last);
    if (!last.number) return NULL;
    double ago = (double)(clock_ns(CLOCK_MONOTONIC) - last.ns) / 1e9;
    json_t *json = json_pack("{s{sIsfso}}", REPORT_LAST_ERROR, "number", (json_int_t)last.number,
                             "seconds_ago", ago, "text", text_json(last.text));
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(10)) : NULL;
    json_decref(json);
    return text;
}

void last_error_put(char **text, size_t *bytes)
{
    char *more = member();
    size_t more_bytes = more ? strlen(more) : 0;
    char *grown = more ? realloc(*text, *bytes + more_bytes) : NULL;
    if (grown) {
        grown[*bytes - 1] = ',';
        memcpy(grown + *bytes, more + 1, more_bytes); /* with its NUL */
        *bytes += more_bytes - 1;
        *text = grown;
    }
    free(more);
}
