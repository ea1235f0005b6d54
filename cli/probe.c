#include "cli/probe.h"

#include "base/err.h"
#include "wiring/source.h"

#include <stdio.h>
#include <string.h>

static int look(const struct config *config, struct probe *p)
{
    struct source *source;
    int result = source_look(config, &p->forecast, &source);
    if (result != ERR_OK) return result;
    const struct engine_info *info = engine_info(source_engine(source));
    p->width = info->width;
    p->hooks = info->hooks;
    if (info->corpus_files > 0) p->corpus_files = info->corpus_files;
    snprintf(p->corpus_note, sizeof p->corpus_note, "%s",
             info->corpus_note ? info->corpus_note : "");
    memcpy(p->hook, info->hook, info->hooks * sizeof *info->hook);
    if (!p->model[0]) snprintf(p->model, sizeof p->model, "%s", info->model);
    p->opened = 1;
    source_close(source);
    return ERR_OK;
}

int probe_engine(const struct config *config, struct probe *probe)
{
    struct config_list corpus = {0};
    int result = ERR_OK, llama = config->capture.engine == CONFIG_LLAMA;
    memset(probe, 0, sizeof *probe);
    if (llama) result = config_model_path(config, probe->model);
    if (result == ERR_OK && llama) result = config_corpus(config, &corpus);
    probe->corpus_files = corpus.count;
    config_list_free(&corpus);
    int is_live = config->capture.engine == CONFIG_RING;
    if (result == ERR_OK && !config_reads_stdin(config) && !is_live) return look(config, probe);
    if (result == ERR_OK && llama) result = source_forecast(config, &probe->forecast);
    return result;
}
