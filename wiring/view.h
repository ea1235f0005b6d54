/*
 * What an autoencoder sees of a stream's rows: some of their hooks, side by side in an order of its
 * own. A clt is told pairs of hooks, in and out, and sees all that go in, then all that come out.
 */
#ifndef SLUICE_WIRING_VIEW_H
#define SLUICE_WIRING_VIEW_H

#include "config/config.h"
#include "proto/descriptor.h"

#include <jansson.h>

struct view_hook { /* of a stream, as its engine has it */
    const char *name;
    uint32_t width;
};

struct view {
    int is_whole; /* all hooks in the stream's order: rows as they are */
    uint32_t hooks, width;
    uint32_t place[ROW_MAX_HOOKS]; /* among the stream's hooks */
    uint32_t first[ROW_MAX_HOOKS]; /* where in a row of the stream each begins */
    uint32_t values[ROW_MAX_HOOKS];
};

/* The view of an autoencoder of the configuration. ERR_USAGE: hooks that the stream lacks, or not
 * those that the architecture needs: two of a transcoder, one width of a crosscoder, pairs of one
 * width on either side of a clt. The text names the autoencoder. */
int view_make(const struct config_sae *sae, const struct view_hook *hooks, uint32_t count,
              struct view *view);

/* The hooks' names in the view's order, as a checkpoint keeps them: a new array. NULL: no memory.
 * And the view that such an array stands for; `names` NULL: all hooks, as those saw that are older
 * than the key. ERR_FORMAT: it is no list of the descriptor's hooks. */
json_t *view_names(const struct view *view, const struct descriptor *descriptor);
int view_of_names(const json_t *names, const struct descriptor *descriptor, struct view *view);

/* Whether an SAE of these options can see rows of the view: a checkpoint tells them apart. */
int view_fits(const struct view *view, const struct sae_options *options);

/* n rows of the stream, `stride` values apart, become rows of the view: out (n, width). */
void view_gather(const struct view *view, const float *rows, uint32_t stride, uint64_t n,
                 float *out);

/* Of a clt and a transcoder what goes in comes first: how many values these are. */
uint32_t view_width_in(const struct view *view);

#endif
