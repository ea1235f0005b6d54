#include "broker/lives.h"

#include <math.h>
#include <string.h>

static struct life *place_of(struct lives *l, const char *process)
{
    struct life *oldest = &l->life[0];
    for (int i = 0; i < LIVES_KEPT; i++) {
        struct life *one = &l->life[i];
        if (strcmp(one->process, process) == 0) return one;
        if (!one->process[0] ? oldest->process[0]
                             : oldest->process[0] && one->started_seconds < oldest->started_seconds)
            oldest = one;
    }
    memset(oldest, 0, sizeof *oldest);
    strncpy(oldest->process, process, sizeof oldest->process - 1);
    return oldest;
}

int lives_note(struct lives *l, const char *process, double started_seconds)
{
    if (!process[0] || !(started_seconds > 0) || !isfinite(started_seconds)) return 0;
    struct life *one = place_of(l, process);
    if (one->started_seconds == started_seconds) return 0;
    if (one->started_seconds > 0) one->restarts++;
    one->started_seconds = started_seconds;
    return 1;
}

void lives_merge(struct lives *l, const struct lives *later)
{
    for (int i = 0; i < LIVES_KEPT; i++) {
        const struct life *one = &later->life[i];
        if (!one->process[0]) continue;
        struct life *mine = place_of(l, one->process);
        if (!one->restarts) lives_note(l, one->process, one->started_seconds);
        mine->restarts += one->restarts;
        mine->started_seconds = one->started_seconds;
    }
}

void lives_end(struct lives *l)
{
    for (int i = 0; i < LIVES_KEPT; i++) l->life[i].started_seconds = 0;
}

int lives_ok(const struct lives *l)
{
    for (int i = 0; i < LIVES_KEPT; i++) {
        const struct life *one = &l->life[i];
        if (strnlen(one->process, sizeof one->process) == sizeof one->process) return 0;
        if (one->process[0] && !message_name_ok(one->process)) return 0;
        if (!isfinite(one->started_seconds) || one->started_seconds < 0) return 0;
    }
    return 1;
}

/* Names need no escapes (message_name_ok). */
void lives_write(const struct lives *l, FILE *out)
{
    const char *between = "";
    fputc('{', out);
    for (int i = 0; i < LIVES_KEPT; i++) {
        if (!l->life[i].process[0] || !l->life[i].restarts) continue;
        fprintf(out, "%s\"%s\":%u", between, l->life[i].process, l->life[i].restarts);
        between = ",";
    }
    fputc('}', out);
}
