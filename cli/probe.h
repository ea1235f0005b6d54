/* What a pipeline's rows will be, found out by opening its engine without preparing anything. */
#ifndef SLUICE_CLI_PROBE_H
#define SLUICE_CLI_PROBE_H

#include "config/config.h"
#include "engine/engine.h"

struct probe {
    uint32_t width;
    uint32_t hooks;
    struct engine_hook hook[ROW_MAX_HOOKS];
    char model[CONFIG_PATH_BYTES];   /* the file, or what the engine says of its rows */
    uint32_t corpus_files;           /* files; files, folders and patterns where not opened */
    char corpus_note[1024];          /* engine_info's; "" */
    struct engine_forecast forecast; /* all 0 where nothing is made before rows are */
    int opened; /* 0: the corpus is a pipe, which nobody may touch before time, or rows are those of a
                   program that runs: they are known when it hands over the first */
};

/* Open the engine that the configuration names (the model's file as it is), look, and close it. The
 * errors are those that `sluice up` would end with: a file that is no model, a hook that does not
 * exist, a corpus that cannot be read. Blocks for as long as loading the model takes. */
int probe_engine(const struct config *config, struct probe *probe);

#endif
