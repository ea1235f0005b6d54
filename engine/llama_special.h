/*
 * Which tokens of a model are special, by what its file says and nothing else.
 *
 * Where a file names no BOS or EOS token, llama.cpp takes a default (1 and 2, or 11, whatever these
 * are in this vocabulary: 11 is a comma in many). Such a token is an ordinary one here.
 */
#ifndef SLUICE_ENGINE_LLAMA_SPECIAL_H
#define SLUICE_ENGINE_LLAMA_SPECIAL_H

#include <stdint.h>

struct llama_model;

enum { LLAMA_SPECIAL_KEYS = 4 };

struct llama_special {
    int32_t bos, separator; /* -1: the file names none. The separator is its EOS token */
    int adds_bos;           /* contexts begin with BOS, as the file says or its tokenizer implies */
    int32_t declared[LLAMA_SPECIAL_KEYS]; /* BOS, EOS, EOT, EOM; -1 where the file names none */
};

/* Read them from a loaded model. ERR_FORMAT: the file names a token that its vocabulary does not
 * have, which llama.cpp would replace by its default. */
int llama_special_read(const struct llama_model *model, const char *path,
                       struct llama_special *special);

/* Whether `token` is special: declared, or of the type "control" in the vocabulary. */
int llama_special_is(const struct llama_special *special, const struct llama_model *model,
                     int32_t token);

#endif
