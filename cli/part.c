#include "cli/part.h"

#include "base/err.h"

#include <string.h>

/* Whether an item of the list, which is `length` long, is `name` or its kind's. */
static int means(const char *item, size_t length, const char *name)
{
    return strlen(name) == length && strncmp(item, name, length) == 0;
}

/* The kind of "capture" or "capture-1"; -1: the pipeline has no such process. */
static int kind_named(const struct config *config, const char *item, size_t length)
{
    for (int k = 0; k < PROCESS_KINDS; k++) {
        enum process_kind kind = (enum process_kind)k;
        uint32_t count = processes_count(config, kind);
        if (means(item, length, processes_section(kind))) return k;
        for (uint32_t i = 0; i < count; i++) {
            char which[16], name[128];
            processes_name(kind, processes_which(config, kind, i, which), name, sizeof name);
            if (means(item, length, name)) return k;
        }
    }
    return -1;
}

int part_has(const struct part *part, enum process_kind kind, const char *name)
{
    if (!part->only) return 1;
    for (const char *p = part->only; *p;) {
        size_t length = strcspn(p, ",");
        if (means(p, length, processes_section(kind)) || means(p, length, name)) return 1;
        p += length + (p[length] == ',');
    }
    return 0;
}

static int check(const struct config *config, const struct part *part)
{
    int has_trainers = processes_count(config, PROCESS_TRAINER) > 0;
    if (part->has[PROCESS_TRAINER] && !has_trainers)
        return err_set(ERR_USAGE, "--only: trainer.consumers declares no trainer");
    if (has_trainers && part->has[PROCESS_SINK] != part->has[PROCESS_TRAINER])
        return err_set(ERR_USAGE, "--only: sink and trainer run on one host, as they share the "
                                  "buffer's files; HINT: --only sink,trainer");
    return ERR_OK;
}

int part_parse(const struct config *config, const char *only, struct part *part)
{
    *part = (struct part){.only = only};
    for (int kind = 0; kind < PROCESS_KINDS && !only; kind++) part->has[kind] = 1;
    if (!only) return ERR_OK;
    for (const char *p = only; *p;) {
        size_t length = strcspn(p, ",");
        int kind = kind_named(config, p, length);
        if (kind < 0)
            return err_set(
                ERR_USAGE,
                "--only: the pipeline has no process '%.*s'; HINT: broker, sink, capture "
                "(or one of several: capture-0), trainer, or some of them, divided by "
                "commas",
                (int)(length > 40 ? 40 : length), p);
        part->has[kind] = 1;
        p += length + (p[length] == ',');
    }
    if (!only[0]) return err_set(ERR_USAGE, "--only: no process is named; HINT: --only capture");
    return check(config, part);
}
