/* Any bytes as a request to the tap in somebody's program: the answer is a whole text of ours, and what
 * is applied makes sense. */
#include "proto/lines.h"
#include "proto/tap_words.h"
#include "tap/answer.h"
#include "tap/settings.h"
#include "tap/tap.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct tap_settings now;

static void take(const struct tap_settings *settings)
{
    if (settings->hooks_count > ROW_MAX_HOOKS || !(settings->share > 0 && settings->share <= 1) ||
        !(settings->rows_per_second >= 0 && settings->rows_per_second <= 1e9) ||
        !memchr(settings->stream, '\0', sizeof settings->stream) ||
        !memchr(settings->folder, '\0', sizeof settings->folder) ||
        (settings->on && (!settings->stream[0] || !settings->hooks_count)))
        abort();
    for (uint32_t h = 0; h < settings->hooks_count; h++)
        if (!settings->hooks[h][0] || !memchr(settings->hooks[h], '\0', sizeof settings->hooks[h]))
            abort();
    now = *settings;
}

void tap_settings_now(struct tap_settings *settings)
{
    *settings = now;
}

int tap_set(const struct tap_change *change, char *text, size_t bytes)
{
    if (change->steer && strlen(change->steer) >= TAP_REQUEST_BYTES) abort();
    if (change->keeps_steered & ~1) abort();
    if (change->settings) take(change->settings);
    if (bytes) text[0] = '\0';
    return 0;
}

void tap_status(struct tap_status *status)
{
    memset(status, 0, sizeof *status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static char answer[TAP_ANSWER_BYTES];
    struct lines lines;
    if (bytes == 0 || bytes > TAP_REQUEST_BYTES) return 0; /* as tap/control.c reads them */
    char *request = malloc(bytes);
    if (!request) abort();
    memcpy(request, data, bytes);
    settings_init(&now);
    size_t whole = lines_whole(request, bytes);
    if (whole > bytes) abort();
    if (whole) {
        size_t n = answer_request(request, whole, 0, answer);
        if (n > sizeof answer || lines_whole(answer, n) != n) abort();
        if (lines_read(answer, n, &lines) != 0 || !lines_get(&lines, TAP_RESULT)) abort();
    }
    free(request);
    return 0;
}
