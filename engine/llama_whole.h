/* The whole of a model, logits and all, in the form that this CPU runs fastest. */
#ifndef SLUICE_ENGINE_LLAMA_WHOLE_H
#define SLUICE_ENGINE_LLAMA_WHOLE_H

#include "engine/options.h"

#include <stddef.h>

/* The file to run in place of `source`: made once and kept in cache_dir as those for trainings are,
 * with no layer left out (llama_prepare.h). Writes out[bytes]. Errors of llama_runner_try() and
 * llama_prepare(). Blocks for seconds to minutes the first time; `watch` (may be NULL) is told. */
int llama_whole(const char *source, const char *cache_dir, uint64_t limit_bytes, uint32_t threads,
                const struct engine_watch *watch, char *out, size_t bytes);

/* The same of a model that has no more layers than it must, for whoever asks only what follows the
 * last one: its final norm and unembedding are the source's. */
int llama_unembedding(const char *source, const char *cache_dir, uint64_t limit_bytes,
                      uint32_t threads, const struct engine_watch *watch, char *out, size_t bytes);

#endif
