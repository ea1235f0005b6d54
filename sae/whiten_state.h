/* What sae/whiten*.c share. */
#ifndef SLUICE_SAE_WHITEN_STATE_H
#define SLUICE_SAE_WHITEN_STATE_H

#include "sae/cpu/pool.h"
#include "sae/whiten.h"

enum { WHITEN_BLOCK_ROWS = 64 }; /* of one product */

struct whiten {
    struct whiten_facts facts;
    uint32_t width, widest;
    struct pool *pool; /* borrowed */
    float *mean;       /* (width) */
    float *to, *back;  /* W and its inverse: a block (width, width) per hook, one behind another */
    float *scratch;    /* (threads, WHITEN_BLOCK_ROWS, widest) */
};

/* With widths and arrays, which are not filled. ERR_LIMIT, ERR_NOMEM, ERR_NOTFOUND: no BLAS. */
int whiten_new(const uint32_t *widths, uint32_t hooks, struct pool *pool, struct whiten **whiten);
/* Values of all blocks. */
size_t whiten_block_values(const struct whiten *whiten);

#endif
