/*
 * Copies hooks' values out of llama.cpp's graph while it runs, and makes sure whose they are.
 *
 * llama.cpp calls llama_capture_eval() for every node of the graph (its cb_eval). The token ids of
 * the rows come from the graph's own GET_ROWS node over `inp_tokens`, their positions from the
 * input of its first ROPE node; both are compared with what was submitted, so that a batch that was
 * reordered or cut is an error and never a row under another's name.
 *
 * A hook that is a part of a layer (llama_block.h) is found by a probe, which takes the layer apart
 * where it ends and writes into the hooks how the part's node is called, and which of that name it
 * is. While rows are taken the layer is taken apart again, and what was copied must be what it
 * finds.
 */
#ifndef SLUICE_ENGINE_LLAMA_CAPTURE_H
#define SLUICE_ENGINE_LLAMA_CAPTURE_H

#include "engine/llama_asked.h"
#include "engine/llama_hooks.h"
#include "engine/llama_lookup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ggml_tensor;

enum llama_capture_mode {
    CAPTURE_PROBE, /* note which nodes there are; the graph need not be computed */
    CAPTURE_ROWS,  /* copy the hooks' values */
};

enum { CAPTURE_MAX_FAMILIES = 256 };

/* Nodes that differ only in the layer behind their name: l_out-0, l_out-1, ... */
struct llama_node_family {
    char name[56];
    int32_t low, high; /* layers; -1: a node of no layer */
    uint32_t nodes;
    int usable; /* float32, one row a token */
};

enum llama_hook_state {
    HOOK_MISSING, /* no such node */
    HOOK_FOUND,
    HOOK_DROPPED, /* holds fewer rows than there are tokens */
    HOOK_UNFIT,   /* not float32, or not laid out in rows */
    HOOK_TWICE,   /* several nodes of that name */
    HOOK_NO_PART, /* the layer is there and has no such part */
};

struct llama_capture {
    struct llama_hooks *hooks;
    enum llama_capture_mode mode;

    /* What was submitted. */
    const int32_t *tokens, *positions; /* (rows) */
    uint32_t rows;

    /* CAPTURE_PROBE */
    enum llama_hook_state state[ROW_MAX_HOOKS];
    struct llama_node_family family[CAPTURE_MAX_FAMILIES];
    uint32_t families;
    int has_parts, has_mid; /* the first layer that was seen has these */
    struct llama_asked asked;

    /* CAPTURE_ROWS */
    float *values; /* (rows, width) */
    size_t width;  /* of all hooks together */
    struct llama_lookup lookup;
    uint32_t begin, end; /* rows of the running ubatch */
    int begun;           /* a ubatch has */
    int positions_seen;  /* in this ubatch */
    uint32_t fired;      /* hooks in this ubatch */
    uint32_t proven;     /* of them, those that are what the graph says they are */
    const struct ggml_tensor *taken[ROW_MAX_HOOKS]; /* parts, in this ubatch; NULL: not yet */
    uint32_t named[ROW_MAX_HOOKS]; /* nodes of the part's name so far in this ubatch */
    char *scratch;                 /* a hook's rows, where several lie side by side */
    size_t scratch_bytes;
    int result; /* of the first failure; its text is in err_text() */
};

/* Get ready for one decode of `rows` tokens. values: (rows, width), NULL for a probe. */
void llama_capture_begin(struct llama_capture *capture, enum llama_capture_mode mode,
                         const int32_t *tokens, const int32_t *positions, uint32_t rows,
                         float *values);

/* ggml's callback; `arg` is a struct llama_capture. */
bool llama_capture_eval(struct ggml_tensor *node, bool ask, void *arg);

/* After the decode: whether every hook gave every row. ERR_MISMATCH, ERR_INTERNAL, ERR_NOMEM. */
int llama_capture_end(struct llama_capture *capture);

/* After a probe, with outputs asked for or not: ERR_OK if all hooks were found (their widths are
 * filled in), else ERR_USAGE with the hooks that exist. `layers` is the model's. HOOK_DROPPED is
 * left to the caller, who looks at llama_capture_dropped(). */
int llama_capture_check(const struct llama_capture *capture, int32_t layers);

/* Whether the probe found a hook whose rows the engine drops unless outputs are asked for. */
int llama_capture_dropped(const struct llama_capture *capture);

void llama_capture_free(struct llama_capture *capture);

#endif
