/*
 * The callback in the host's graph: rows of hooks, from the tensor into the ring.
 *
 * llama.cpp calls graph_eval() for every node of a pass, first to ask whether it is wanted, then with
 * its values. Token ids and positions of a ubatch are read off the inputs of the graph when their nodes
 * are asked for, so that the pass is interrupted at hooks alone. A callback that the program has set
 * itself is asked first, and both are obeyed.
 *
 * Rows of a ubatch get places in the ring when the first hook comes, and are published with the end of
 * the pass, if all went well; else they are given up.
 */
#ifndef SLUICE_TAP_GRAPH_H
#define SLUICE_TAP_GRAPH_H

#include "engine/llama_asked.h"
#include "engine/llama_lookup.h"
#include "tap/outlet.h"
#include "tap/steering.h"
#include "tap/ubatch.h"

#include <stdbool.h>
#include <stddef.h>

struct ggml_tensor;

enum graph_mode {
    GRAPH_IDLE,  /* the pass is not ours */
    GRAPH_LEARN, /* find nodes and widths of the hooks; takes no row, and steers */
    GRAPH_ROWS,
};

struct graph {
    /* the program's own callback; NULL: none */
    bool (*other)(struct ggml_tensor *node, bool ask, void *arg);
    void *other_arg;
    bool other_wants; /* the node that was asked for last */

    /* the pass */
    const struct library *library;
    enum graph_mode mode;
    struct outlet *outlet;
    const struct steering *steering; /* NULL: none */
    const struct special *special;   /* of the model; set with graph_make() */
    struct submitted *submitted;
    uint32_t room; /* tokens of a pass */
    int result;    /* of the first failure; its text is in `why` */
    char why[300];
    int is_stopped;             /* by the program's own callback */
    int is_short;               /* a ubatch has ended without all hooks */
    struct sluice_row *rows;    /* (room) that have places */
    struct sluice_place *place; /* (room), one for each ubatch */
    uint32_t rows_count, places_count;
    uint64_t steered_rows;
    uint32_t steered_ubatches; /* that had the node */
    uint32_t ubatches;
    char unsteered[200]; /* why not all of them were steered, at the end; "": they were */
    struct llama_lookup lookup;

    /* the ubatch */
    uint32_t n; /* rows; 0: none has begun */
    int has_positions, is_matched;
    int32_t *tokens, *positions;   /* (room) */
    uint32_t *owner;               /* (room) entries of `submitted` */
    uint32_t *captured;            /* (room) of the rows that have a place: which of the ubatch */
    uint32_t fired;                /* hooks */
    uint32_t named[ROW_MAX_HOOKS]; /* nodes of a part's name so far */
    const struct ggml_tensor *part[ROW_MAX_HOOKS]; /* that was taken for it */

    /* GRAPH_LEARN */
    uint32_t learned_n; /* tokens of the ubatch; 0: none has begun */
    int learned_positions;
    struct llama_asked asked;

    float *scratch; /* values that are not in memory of the host */
    size_t scratch_bytes;
};

/* For passes of up to `room` tokens; all of it was zero, but the program's own callback. ERR_NOMEM. The
 * caller frees it. */
int graph_make(struct graph *graph, uint32_t room, const struct special *special);
void graph_free(struct graph *graph);

/* A pass begins: what it submits is in `submitted`. `steering` may be NULL. */
void graph_begin(struct graph *graph, const struct library *library, enum graph_mode mode,
                 struct outlet *outlet, const struct steering *steering,
                 struct submitted *submitted);

/* ggml's callback; `arg` is a struct graph. */
bool graph_eval(struct ggml_tensor *node, bool ask, void *arg);

/* The pass is over; `is_good`: the program is told that it was. Publishes its rows, or gives them up.
 * ERR_MISMATCH, ERR_USAGE (a hook that the model does not have), ERR_NOMEM: they were given up, why is
 * in the text. */
int graph_end(struct graph *graph, int is_good);

#endif
