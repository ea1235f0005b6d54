/*
 * Where the running model is changed: the rows of one node, by a table (proto/steer.h), after they were
 * captured. Passes hold it while they run, so that it may be replaced at any time.
 */
#ifndef SLUICE_TAP_STEERING_H
#define SLUICE_TAP_STEERING_H

#include "tap/special.h"
#include "tap/steer.h"

struct steering {
    struct steer_table table;
    int keeps_steered; /* sequences that it changes stay in the stream */
    /* of the tap that owns it (tap.c) */
    uint32_t users;
    int is_retired, is_checked;
    const void *model;  /* that it steers; NULL: none yet */
    uint64_t model_key; /* of the last one, where it is_checked */
};

/* Read a table, which may be removed afterwards. ERR_NOTFOUND, ERR_USAGE (a link, or another user's),
 * ERR_FORMAT, ERR_VERSION, ERR_NOMEM, ERR_IO. The caller frees it. */
int steering_read(const char *path, struct steering **steering);
void steering_free(struct steering *steering);

/* Whether a model can be steered by it: its width, and a layer below its last. ERR_USAGE. */
int steering_check(const struct steering *steering, const struct library *library,
                   const struct llama_model *model);

/* Change rows (n, width) in place, of such tokens (n) at such positions (n); returns how many were. Any
 * thread. */
uint32_t steering_change(const struct steering *steering, const struct library *library,
                         const struct special *special, uint32_t n, float *rows,
                         const int32_t *tokens, const int32_t *positions);

#endif
