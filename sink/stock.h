/*
 * The buffer of this stream as the sink opens it: the store, the stream's descriptor (kept in the
 * store, and once more in RUN/descriptor.json, so that it outlives a damaged buffer), and what the
 * consumers say has to be made again.
 */
#ifndef SLUICE_SINK_STOCK_H
#define SLUICE_SINK_STOCK_H

#include "buffer/store.h"
#include "config/config.h"
#include "proto/descriptor.h"
#include "sink/consumers.h"
#include "sink/sessions.h"

struct stock {
    const struct config *config;
    char buffer_dir[CONFIG_PATH_BYTES];
    char descriptor_file[CONFIG_PATH_BYTES];
    struct store *store;          /* NULL: not open yet */
    struct descriptor descriptor; /* the committed one; measured = 0: none yet */
    char *text;                   /* the committed descriptor as JSON */
    size_t text_bytes;
    int is_given_up;    /* what lies there is set aside, whatever it looks like */
    int was_set_aside;  /* the buffer that this one stands for: its records are not known */
    uint64_t set_aside; /* buffers, in this life */
};

/* Reads RUN/descriptor.json where there is one and opens the buffer that it is of. Where that file
 * is missing or damaged nothing is opened yet. ERR_* of store_open(), ERR_FORMAT. stock_close()
 * after a failure too. */
int stock_open(struct stock *stock, const struct config *config);
void stock_close(struct stock *stock);
/* Close the buffer alone: stock_prepare() opens it again, or sets it aside and makes another. */
void stock_close_store(struct stock *stock);
/* The same of one that was found damaged, removed or replaced: stock_prepare() sets aside what lies
 * there, and makes another. */
void stock_give_up(struct stock *stock);

/* Open the buffer for rows like those of `descriptor`, if it is not open: a damaged one is set
 * aside and made anew. Also checks that the trainer's batch fits. ERR_USAGE, ERR_MISMATCH,
 * ERR_NOSPC, ... */
int stock_prepare(struct stock *stock, const struct descriptor *descriptor);

/* Rows of a slab of the open buffer. */
uint32_t stock_rows_per_slab(const struct stock *stock);

/* Commit the stream's descriptor: run and rows_per_slab are filled in. It must agree with `asked`,
 * what the producer that measured it was let in with: ERR_MISMATCH. ERR_STATE (there is one),
 * ERR_IO, ... */
int stock_describe(struct stock *stock, const struct descriptor *asked, const char *text,
                   size_t bytes);

/* Take up every producer's record (where the buffer was set aside: as the sessions have it), set
 * back to where consumers need it. Commits what it changes; only then may trainers draw from the
 * buffer. *rewound: producers that have to go back. */
int stock_records(struct stock *stock, const struct consumers *consumers, struct sessions *sessions,
                  uint32_t *rewound);

#endif
