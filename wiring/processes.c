#include "wiring/processes.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *section, *program, *option;
} processes[PROCESS_KINDS] = {
    [PROCESS_BROKER] = {"broker", "sluice-broker", NULL},
    [PROCESS_SINK] = {"sink", "sluice-sink", NULL},
    [PROCESS_CAPTURE] = {"capture", "sluice-capture", "--producer"},
    [PROCESS_TRAINER] = {"trainer", "sluice-trainer", "--consumer"},
};

const char *processes_section(enum process_kind kind)
{
    return processes[kind].section;
}

const char *processes_program(enum process_kind kind)
{
    return processes[kind].program;
}

const char *processes_option(enum process_kind kind)
{
    return processes[kind].option;
}

uint32_t processes_count(const struct config *config, enum process_kind kind)
{
    if (kind == PROCESS_CAPTURE) return config->capture.producers;
    return kind == PROCESS_TRAINER ? config->trainer.consumers.count : 1;
}

const char *processes_which(const struct config *config, enum process_kind kind, uint32_t index,
                            char out[16])
{
    if (kind == PROCESS_TRAINER) return config->trainer.consumers.item[index];
    snprintf(out, 16, "%u", index);
    return kind == PROCESS_CAPTURE ? out : "";
}

void processes_name(enum process_kind kind, const char *which, char *out, size_t bytes)
{
    snprintf(out, bytes, "%s%s%s", processes[kind].section, which[0] ? "-" : "", which);
}

int processes_kind_of(const char *name)
{
    size_t length = strcspn(name, "-");
    for (int kind = 0; kind < PROCESS_KINDS; kind++) {
        const char *section = processes[kind].section;
        if (strlen(section) == length && strncmp(name, section, length) == 0) return kind;
    }
    return -1;
}

const char *processes_which_of(const char *name)
{
    const char *dash = strchr(name, '-');
    return dash ? dash + 1 : "";
}
