/*
 * Prepared models: a model cut above the highest hook and turned into the precision that this CPU
 * runs fastest, made once and kept in a folder with a byte cap.
 *
 * One layer above the highest hook is kept, because llama.cpp drops rows in the last one.
 * Precision: float32 where CPU and llama.cpp have AVX-512, else bf16; bf16, then q8_0, where the
 * model would take more than half of the memory that is free, more than the cap, or more than the
 * disk has.
 */
#ifndef SLUICE_ENGINE_LLAMA_PREPARE_H
#define SLUICE_ENGINE_LLAMA_PREPARE_H

#include "engine/options.h"

#include <stdint.h>

struct llama_prepared {
    char path[4096];
    uint64_t hash; /* fingerprint: of the source, the layers kept, precision, llama.cpp's version */
};

/* Find or make the prepared form of `source` for hooks up to top_layer (-1: keep all layers), whose
 * own fingerprint is source_hash, under cache_dir/prepared. The least recently used go when the
 * folder would pass limit_bytes. Another process that prepares is waited for. Blocks for seconds to
 * minutes, of which `watch` is told. ERR_NOSPC (not even q8_0 fits; HINT), ERR_FORMAT (llama.cpp
 * cannot), ERR_IO. */
int llama_prepare(const char *source, uint64_t source_hash, int32_t top_layer,
                  const char *cache_dir, uint64_t limit_bytes, uint32_t threads,
                  const struct engine_watch *watch, struct llama_prepared *prepared);

#endif
