#include "cli/part.h"

#include "base/err.h"

#include <string.h>

static int kind_named(const char *name, size_t length)
{
    for (int kind = 0; kind < PROCESS_KINDS; kind++) {
        const char *section = processes_section((enum process_kind)kind);
        if (strlen(section) == length && strncmp(name, section, length) == 0) return kind;
    }
    return -1;
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
    *part = (struct part){{0}};
    for (int kind = 0; kind < PROCESS_KINDS && !only; kind++) part->has[kind] = 1;
    if (!only) return ERR_OK;
    for (const char *p = only; *p;) {
        size_t length = strcspn(p, ",");
        int kind = kind_named(p, length);
        if (kind < 0)
            return err_set(ERR_USAGE,
                           "--only: '%.*s' is no process; HINT: broker, sink, capture, trainer, or "
                           "several, divided by commas",
                           (int)(length > 40 ? 40 : length), p);
        part->has[kind] = 1;
        p += length + (p[length] == ',');
    }
    if (!only[0]) return err_set(ERR_USAGE, "--only: no process is named; HINT: --only capture");
    return check(config, part);
}
