/*
 * Prepared models: a model cut above the highest hook and turned into the type that this CPU runs
 * fastest, made once and kept in a folder with a byte cap.
 *
 * A cut is used only where it is proven on that very model. The proof: the model that is only cut,
 * its types unchanged, computes the same rows as the whole file to 1e-5 of a row's norm, on four
 * contexts of the run's own length in the run's own passes (llama_compare.h). llama.cpp
 * derives attention scales, residual scales and windows of some architectures from the number of
 * layers, and others do not load when they are cut. Where it is not proven the layers
 * stay, and the graph is stopped at the hook. A verdict is kept under the model's hash, llama.cpp's
 * version, the layers kept, the hooks and the length of contexts; a prepared model without one is
 * not used.
 *
 * A change of type changes rows. How far they are from the original's is measured on text of the
 * run, told, and kept.
 *
 * One layer above the highest hook is kept, because llama.cpp drops rows in the last one. Type:
 * float32 where CPU and llama.cpp have AVX-512, else bf16; bf16, then q8_0, where the model would
 * take more than half of the memory that is free, more than the cap, or more than the disk has.
 */
#ifndef SLUICE_ENGINE_LLAMA_PREPARE_H
#define SLUICE_ENGINE_LLAMA_PREPARE_H

#include "engine/llama_hooks.h"
#include "engine/options.h"

#include <stdint.h>

struct llama_runner;

struct llama_prepare_options {
    const char *source;
    uint64_t source_hash;            /* llama_file_fingerprint() */
    const char *source_precision;    /* llama_runner_precision() */
    const struct llama_hooks *hooks; /* as parsed */
    const char *cache_dir;           /* models go to cache_dir/prepared */
    uint64_t limit_bytes;            /* cap of that folder */
    uint32_t context_tokens, threads;
    const struct engine_watch *watch;
    /* As in llama_compare.h. */
    int prepend_bos;
    int (*text)(void *arg, struct llama_runner *runner, uint32_t contexts, uint32_t context_tokens,
                int32_t *tokens, uint32_t *filled);
    void *text_arg;
};

struct llama_prepared {
    char path[4096]; /* of the model to run: the source itself where nothing was to be prepared */
    uint64_t hash;   /* fingerprint: of the source, the layers kept, type, llama.cpp's version */
    int32_t layers_kept; /* of the source's */
    double fve; /* of its rows, the source's being the truth; 1: the same type; NaN: unknown */
};

/* Find or make the prepared form of a model. The least recently used go when the folder would pass
 * its cap. Another process that prepares is waited for. Blocks for seconds to minutes; `watch` is
 * told what is under way and what was decided. ERR_NOSPC (not even q8_0 fits; HINT), ERR_IO,
 * ERR_NOMEM, ERR_FORMAT (the source), ERR_USAGE (SLUICE_PREPARED is no type). */
int llama_prepare(const struct llama_prepare_options *options, struct llama_prepared *prepared);

/* What llama_prepare() would do. Looks only; makes nothing. ERR_FORMAT, ERR_IO, ERR_NOSPC as
 * above. */
int llama_prepare_forecast(const struct llama_prepare_options *options,
                           struct engine_forecast *forecast);

#endif
