/*
 * What was found out once about a model, kept beside the prepared ones as small JSON files.
 */
#ifndef SLUICE_ENGINE_LLAMA_RECORD_H
#define SLUICE_ENGINE_LLAMA_RECORD_H

#include <stdint.h>

/* Whether a model cut above its hooks computes the same rows. */
struct llama_verdict {
    int is_equal;
    uint64_t rows;  /* compared */
    double largest; /* difference, of a row's norm */
    char why[400];  /* not equal because the cut model does not even run; "" */
};

/* Distance of a prepared model's rows from those of its source. */
struct llama_fidelity {
    uint64_t rows;
    double fve;  /* NaN: of rows that are all the same */
    int is_text; /* of the run that asked first; else of random tokens */
};

/* Read a record. Returns whether there is one and it is whole; anything else counts as none. */
int llama_record_verdict(const char *path, struct llama_verdict *verdict);
int llama_record_fidelity(const char *path, struct llama_fidelity *fidelity);

/* Keep one, at once or not at all. ERR_IO, ERR_NOSPC, ERR_NOMEM. */
int llama_record_keep_verdict(const char *path, const struct llama_verdict *verdict);
int llama_record_keep_fidelity(const char *path, const struct llama_fidelity *fidelity);

#endif
