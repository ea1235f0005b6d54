/*
 * What a pipeline needs of machines, worked out before it runs: bytes of a row on its way, disk,
 * memory, and at a given rate what flows over each link and for how long the buffer holds it. All
 * of it comes from the functions by which the programs themselves lay out buffers, size
 * autoencoders and bound their memory.
 *
 * A process is counted once here: of several captures or trainers each takes as much.
 */
#ifndef SLUICE_CLI_CAPACITY_H
#define SLUICE_CLI_CAPACITY_H

#include "cli/probe.h"

#include <jansson.h>

struct capacity {
    uint32_t producers, consumers;
    /* A row, compression not counted: as it is sent, its share of the frame's header among it; and
     * as it lies in the buffer's file. */
    uint32_t width; /* values */
    double wire_row_bytes, buffer_row_bytes;
    uint64_t slab_bytes, rows_per_slab, slabs, buffer_rows;

    /* Disk. Of the sink's host: */
    uint64_t buffer_disk_bytes;    /* at most */
    uint64_t checkpoint_bytes;     /* one of one trainer, about */
    uint64_t checkpoints_bytes;    /* all that are kept, and one that is being written */
    uint64_t exports_bytes;        /* at the end */
    uint64_t held_out_bytes;       /* at most */
    uint64_t curves_bytes;         /* of a month, at most */
    uint64_t lines_bytes_per_day;  /* history.tsv, about */
    uint64_t logs_bytes;           /* of all processes, at most */
    uint64_t history_bytes;        /* of the broker, at most */
    uint64_t disk_bytes;           /* all of these, after a month */
    uint64_t prepared_model_bytes; /* in a capture's cache; 0: the model's own file is used */
    double checkpoint_bytes_per_stream_byte;

    /* Memory, in all but pages of mapped files. */
    uint64_t frames_under_way_bytes;                  /* in broker and sink, each, at most */
    uint64_t broker_bytes, sink_bytes, capture_bytes; /* at most */
    uint64_t trainer_bytes;                           /* about; it is made of: */
    uint64_t weights_bytes, moments_bytes;
    uint64_t scratch_bytes; /* gradients, and what a step computes in */
    uint64_t rows_bytes;    /* a batch and the held-out rows, scaled */
    uint64_t whiten_bytes;  /* 0: rows are not whitened */
    uint64_t mapped_bytes;  /* the buffer's file, in sink and trainers: the kernel's to take back */

    uint64_t stream_rows;           /* that all captures make; 0: the file does not tell */
    uint64_t planned_rows;          /* draws of a trainer's whole run, at most; 0: not known */
    double draws_per_row;           /* of each trainer: trainer.reuse */
    double flops_per_row;           /* of training on one draw, all autoencoders */
    double trained_rows_per_second; /* of an earlier life in this folder, waiting included; NaN */
    json_t *warnings;               /* of autoencoders: texts for people, with what to do; owned */
};

/* Work it out, for a probe whose width is known. ERR_USAGE: what a sink or trainer would refuse.
 * ERR_NOMEM. Reads one file of the run's folder, where it is there. The caller frees with
 * capacity_free(), after an error too. */
int capacity_of(const struct config *config, const struct probe *probe, struct capacity *capacity);
void capacity_free(struct capacity *capacity); /* one of zeros is fine, too */

#endif
