/*
 * Where the rows of a model go: its hooks, and the stream of libsluice that takes them. Other hooks or
 * another model are another outlet.
 */
#ifndef SLUICE_TAP_OUTLET_H
#define SLUICE_TAP_OUTLET_H

#include "client/sluice.h"
#include "engine/llama_hooks.h"
#include "tap/library.h"

#include <stdint.h>

struct outlet_options {
    char stream[64];
    char folder[1024];   /* "": the usual one */
    uint64_t ring_bytes; /* 0: the usual */
    int is_f32;
    int starts_off;
    double share, rows_per_second; /* 0: all */
    uint64_t bytes_per_second;     /* 0: all; the lower of both holds */
};

struct outlet {
    struct llama_hooks hooks; /* with the nodes' names and widths, as far as they are known */
    struct sluice *sluice;    /* NULL: not open yet */
    uint32_t number;          /* of the outlet in this process, from 1 */
    const struct llama_model *model;
    uint32_t model_width;
    /* of the table that owns it (context.c) */
    uint32_t users;
    int is_retired, is_learning;
};

/* What can be said of hooks without running the model: their names, and that their layers are there.
 * ERR_USAGE. */
int outlet_check(const struct library *library, const struct llama_model *model,
                 const struct llama_hooks *hooks);

/* An outlet for a model, not open yet. ERR_USAGE, ERR_NOMEM. The caller frees it. */
int outlet_make(const struct library *library, const struct llama_model *model,
                const struct llama_hooks *hooks, struct outlet **outlet);
void outlet_free(struct outlet *outlet);

/* Whether the name of a node, or the width, of some hook is yet to be learned from a pass (graph.h). */
int outlet_is_to_learn(const struct outlet *outlet);
/* Forget what a pass that failed has shown. */
void outlet_unlearn(struct outlet *outlet);

/* The lower of both limits in rows per second, as libsluice has them; 0: none. Widths are known. */
double outlet_rate(const struct outlet *outlet, const struct outlet_options *options);

/* Make the ring. `file` and `key`: the model's (models.h). ERR_USAGE: they are not known; ERR_IO and the
 * text of libsluice. */
int outlet_open(struct outlet *outlet, const struct library *library,
                const struct outlet_options *options, const char *file, uint64_t key);

#endif
