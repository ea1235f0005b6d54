/* The SAE that a command looks at, as a person names it. */
#ifndef SLUICE_CLI_SUBJECT_H
#define SLUICE_CLI_SUBJECT_H

#include "engine/llama_runner.h"
#include "inspect/subject.h"
#include "runtime/options.h"

/* The options that all these commands have. */
#define SUBJECT_OPTION_SPECS                                                                       \
    {"sae", "NAME", "of several autoencoders this one; the first unless told"},                    \
        {"consumer", "NAME",                                                                       \
         "of several consumers this one's; the first declared one unless told"},                   \
        {"model", "MODEL",                                                                         \
         "the GGUF file of the model, or its name (smollm2), where the SAE does not tell it"},     \
        {"hook", "HOOK", "the hook that the SAE sees, where its folder does not tell it"},         \
        {"exact-model", NULL,                                                                      \
         "run the model's file as it is; else a form that runs faster is made once and kept"},     \
    {                                                                                              \
        "threads", "N", "threads to compute with; all cores unless told"                           \
    }

/* options->file: a configuration, a run's folder, a checkpoint or a folder of them (cli/saved.h), or
 * a folder that SAELens, sparsify or `sluice export` wrote. ERR_USAGE: there is none, or no such
 * SAE in it, or its hook is not told; else as saved_open(), import_open(). On success the caller
 * ends with subject_close(). Blocks on the disk. */
int subject_open(const struct options *options, struct subject *subject);

/* Whether a name is that of a configuration. */
int subject_is_configuration(const char *file);

/* The model's own file: of --model, else of the configuration, else of what the SAE tells. Writes out[SUBJECT_PATH_BYTES].
 * ERR_USAGE: there is none, or no such file. */
int subject_source(const struct options *options, const struct subject *subject, char *out);

/* The model's file that is to run, as subject_source() finds it: itself with --exact-model,
 * else the form of it that runs fastest, which is made the first time, and told on stderr. Writes
 * out[SUBJECT_PATH_BYTES]. ERR_USAGE: there is none, or no such file; errors of llama_whole(). */
int subject_model(const struct options *options, const struct subject *subject, char *out);

/* The same with as few layers as may be, for what follows the last one alone (inspect/lens.h). Errors
 * of llama_unembedding(). */
int subject_unembedding(const struct options *options, const struct subject *subject, char *out);

/* Try the model of options->path with these hooks, whose widths are found, and set
 * options->context_tokens to what it was trained with, `most_tokens` at most. *facts: the model's. Errors
 * of llama_runner_try(). */
int subject_try(struct llama_runner_options *options, struct llama_hooks *hooks,
                uint32_t most_tokens, struct llama_facts *facts);

/* The number of --threads, or of the cores. ERR_USAGE. */
int subject_threads(const struct options *options, uint32_t *threads);

#endif
