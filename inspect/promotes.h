/*
 * The tokens that a feature's direction makes likelier, and those that it makes less likely, straight
 * through the residual stream (inspect/lens.h). What later layers make of it is not in it.
 */
#ifndef SLUICE_INSPECT_PROMOTES_H
#define SLUICE_INSPECT_PROMOTES_H

#include "inspect/lens.h"
#include "inspect/subject.h"

enum { PROMOTES = 10 };

struct promoted {
    int32_t token;
    float logit; /* that a value of 1 adds, less the mean over the vocabulary, where the final norm
                  * divides by 1 */
};

struct promotes {
    struct promoted up[PROMOTES];   /* the most positive first (ties: the lower token) */
    struct promoted down[PROMOTES]; /* the most negative first */
    uint32_t ups, downs;
};

/* Which of a model's other points are what is added to the stream as it is, by its first layer: the
 * nodes by llama.cpp's own names ("ffn_out"; "": not known), and what the modules return. */
struct promotes_points {
    char attn[64], mlp[64];
    int attn_module, mlp_module;
};
/* Look at a model's file; all 0 where it can't be told. Blocks for a second; forks. */
void promotes_look(const char *model, struct promotes_points *points);

/* Where in a direction that lies which is added to the residual stream. A dictionary's at a hook of
 * the stream (resid_pre, resid_mid, resid_post) or of what is added to it (attn_out, mlp_out) is all
 * of it, and so is a transcoder's, by the hook that it writes. Of a crosscoder it is the part of the
 * last such hook: its parts are one stream at several layers. Of a clt all parts count, added up, as
 * each layer adds its own. ERR_USAGE: there is none; the text says why. */
struct promotes_parts {
    uint32_t first, width, count; /* parts of `width` values, side by side, from `first` on */
};
int promotes_find(const struct subject *subject, const struct promotes_points *points,
                  struct promotes_parts *parts);

struct promoter { /* lent */
    struct lens *lens;
    struct promotes_parts parts;
};

/* Of features first to first + count: out (count). The same bits for the same `first` and `count`.
 * ERR_USAGE: the model's residual stream has another width; ERR_NOMEM, errors of lens_read(). Blocks
 * while the model runs. */
int promotes_make(const struct promoter *promoter, const struct subject *subject, uint32_t first,
                  uint32_t count, struct promotes *out);

#endif
