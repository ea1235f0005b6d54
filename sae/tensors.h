/*
 * An SAE's weights, as one block of tensors: what each is called, its shape, how it learns. The
 * table of an architecture drives allocation, update, the gradient's norm and the order within a
 * checkpoint's section `weights`.
 */
#ifndef SLUICE_SAE_TENSORS_H
#define SLUICE_SAE_TENSORS_H

#include "sae/arena.h"
#include "sae/options.h"

struct parameters {
    size_t count; /* floats of the block, padding included */
    float *all;
    float *w_enc;         /* (F, D_in) */
    float *w_dec;         /* (F, D) */
    float *b_enc;         /* (F) */
    float *b_dec;         /* (D) */
    float *w_skip;        /* (D, D_in): a linear map past the features; NULL elsewhere */
    float *threshold;     /* (F): jumprelu; NULL elsewhere */
    float *r_mag, *b_mag; /* (F): gated; NULL elsewhere */
};

enum tensor_shape {
    TENSOR_F_IN,   /* (F, D_in): a direction of each feature */
    TENSOR_F_OUT,  /* (F, D): the same */
    TENSOR_F,      /* (F) */
    TENSOR_OUT,    /* (D) */
    TENSOR_OUT_IN, /* (D, D_in); empty without options->skip */
};

enum tensor_rate {
    TENSOR_RATE,           /* learns at options->learning_rate */
    TENSOR_RATE_DECODER,   /* times decoder_lr_factor */
    TENSOR_RATE_THRESHOLD, /* with target_l0 times TARGET_THRESHOLD_RATE */
};

struct tensor {
    const char *name; /* NULL ends a table */
    size_t place;     /* of its pointer in struct parameters */
    enum tensor_shape shape;
    float start; /* value at first, where nothing else is said (arch_start) */
    enum tensor_rate rate;
    int keeps_positive; /* a value below 0 becomes 0 after each step */
};

/* The tables. Lines of them, and whole ones. */
#define TENSOR(name, shape, ...)                                                                   \
    {                                                                                              \
#name, offsetof(struct parameters, name), shape, __VA_ARGS__                               \
    }
#define TENSORS_OF_ALL                                                                             \
    TENSOR(w_enc, TENSOR_F_IN, 0, 0, 0), TENSOR(w_dec, TENSOR_F_OUT, 0, TENSOR_RATE_DECODER, 0),   \
        TENSOR(b_enc, TENSOR_F, 0, 0, 0), TENSOR(b_dec, TENSOR_OUT, 0, 0, 0)
#define TENSORS_END                                                                                \
    {                                                                                              \
        NULL, 0, TENSOR_F, 0, 0, 0                                                                 \
    }
extern const struct tensor tensors_of_all[]; /* W_enc, W_dec, b_enc, b_dec */

/* Entries of a row of it, and rows. */
uint32_t tensor_columns(const struct tensor *tensor, const struct sae_options *options);
uint32_t tensor_rows(const struct tensor *tensor, const struct sae_options *options);
/* Where it lies in p; NULL: it is empty. */
float *tensor_of(const struct tensor *tensor, const struct parameters *p);

/* Lay the block of a table. */
void tensors_lay(const struct tensor *tensors, const struct sae_options *options,
                 struct parameters *p, struct arena *arena);
/* All to their values at first. */
void tensors_start(const struct tensor *tensors, const struct sae_options *options,
                   struct parameters *p);

#endif
