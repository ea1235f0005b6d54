/*
 * index.json: what a feature index is of, and what its other files have to be. It is written last, so
 * a folder that has it is a whole index.
 */
#ifndef SLUICE_INSPECT_INDEX_FACTS_H
#define SLUICE_INSPECT_INDEX_FACTS_H

#include "inspect/subject.h"

#include <jansson.h>

enum {
    INDEX_VERSION = 2,
    INDEX_MOST_FEATURES = 1 << 24,
    INDEX_MOST_TOKENS = 1 << 24,
    INDEX_PATH_BYTES = 4096,
};

struct index_facts {
    char name[SUBJECT_NAME_BYTES], layout[16];
    uint64_t fingerprint; /* of the SAE's weights */
    uint32_t hooks;
    char hook[ROW_MAX_HOOKS][64];
    char model[SUBJECT_NAME_BYTES], precision[32]; /* that made the rows */
    uint64_t model_hash, corpus_hash;
    uint64_t settings_hash; /* of what else shapes it: survey_settings() */
    uint32_t context_tokens;
    uint32_t features;                  /* 1 at least; so below */
    uint64_t rows, kept_rows;           /* read; not left out */
    uint64_t data_bytes;                /* of features.data */
    uint64_t table_hash;                /* of features.table */
    uint32_t tokens;                    /* of the vocabulary; 0: it is not known */
    uint64_t tokens_bytes, tokens_hash; /* of tokens.table; 0 where there is none */
};

/* Replace FOLDER/index.json. ERR_NOMEM, ERR_NOSPC, ERR_IO. */
int index_facts_write(const char *folder, const struct index_facts *facts);
/* ERR_NOTFOUND: there is none; ERR_FORMAT: it is none, or is damaged; ERR_VERSION: of a newer Sluice;
 * ERR_IO. Texts name the file. */
int index_facts_read(const char *folder, struct index_facts *facts);
/* The same of bytes; `path` is for the texts. */
int index_facts_parse(const char *text, size_t bytes, const char *path, struct index_facts *facts);
/* The object that is written; NULL: no memory. The caller decrefs. */
json_t *index_facts_json(const struct index_facts *facts);

#endif
