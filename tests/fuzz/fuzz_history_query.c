/*
 * Any text as a question to the history: refused with a text, or answered within its bounds. Lines are
 * series, from, to and points; an empty one is not given.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "broker/history.h"
#include "broker/history_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const uint64_t now = 1800000000;

static struct history *history(void)
{
    static struct history *h;
    if (h) return h;
    if (history_open(NULL, "s", &h) != ERR_OK) abort();
    for (uint64_t t = now - 300; t <= now; t++) {
        history_set(h, "a", (double)t, t * 1000000000);
        history_set(h, "sae/main/b/loss", 1, t * 1000000000);
        history_tick(h, t, t * 1000000000);
    }
    return h;
}

static void answer(const struct history *h, const struct history_query *q)
{
    char *text;
    size_t size;
    uint64_t points = (q->to_seconds - q->from_seconds) / q->step_seconds;
    if (points < 1 || points > HISTORY_QUERY_MOST_POINTS ||
        points * q->count > HISTORY_QUERY_MOST_VALUES || q->from_seconds % q->step_seconds)
        abort();
    FILE *out = open_memstream(&text, &size);
    if (!out) abort();
    history_query_write(h, q, out);
    fclose(out);
    json_t *json = json_loadb(text, size, 0, NULL);
    if (!json) abort();
    json_decref(json);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1), *rest = text, *part[4];
    struct history_query q;
    if (!text) return 0;
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    for (int i = 0; i < 4; i++) {
        part[i] = strsep(&rest, "\n");
        if (part[i] && !part[i][0]) part[i] = NULL;
    }
    int result = history_query_parse(history(), part[0], part[1], part[2], part[3], now, &q);
    if (result == ERR_OK) answer(history(), &q);
    if (result != ERR_OK && (result != ERR_USAGE || !err_text()[0])) abort();
    free(text);
    return 0;
}
