/*
 * One file of the engine `files`: which of its dimensions are rows, where its sequences begin, and
 * the token ids and sequence ids beside the rows.
 *
 * Sequences of a file, numbered from 0:
 * - two dimensions: `sequence_rows` rows each, the last perhaps shorter;
 * - (sequences, rows, width): one for each of the first dimension;
 * - with sequence ids: each run of equal ids, which the first dimension's end breaks as well. An id
 *   that comes again after another is another sequence.
 *
 * Token ids are as many as the rows; one more is taken too, and not used: the last token that a
 * server generated has no activations.
 */
#ifndef SLUICE_ENGINE_ROW_FILE_H
#define SLUICE_ENGINE_ROW_FILE_H

#include "base/row.h"
#include "engine/engine.h"
#include "engine/options.h"
#include "engine/place.h"

struct row_file {
    struct place values, tokens, ids; /* of the latter two path is NULL where there are none */
    struct array_view view;
    uint32_t layers; /* 0: the array has no dimension of that kind */
    int guessed;     /* file_axes was auto, and there are three dimensions */
    int one_token_more;
    uint64_t sequences;        /* 0: the file is empty */
    uint32_t longest;          /* rows of a sequence at most */
    uint32_t sequence_rows;    /* of each but the last, where `start` is NULL */
    uint64_t *start;           /* (sequences + 1): first rows of runs of ids */
    struct row_reader *reader; /* while it is open */
};

/* Look at a file, read its token ids and sequence ids once, and check everything that can be
 * without reading its rows. ERR_USAGE and ERR_FORMAT say what is wrong and what to do; others as
 * place_find(). The caller ends with row_file_fini(). */
int row_file_look(const char *path, const struct engine_options *options, struct row_file *file);
void row_file_fini(struct row_file *file);

/* Rows of the sequence `number`: the first, and how many. */
void row_file_sequence(const struct row_file *file, uint64_t number, uint64_t *first,
                       uint32_t *rows);

/* Open for reading; a compressed file is unpacked now (npz.h). As place_open(). */
int row_file_open(struct row_file *file);
void row_file_close(struct row_file *file);

/* Values of rows [first, first + count), and their token ids (0 where there are none). */
int row_file_read(struct row_file *file, uint64_t first, size_t count, float *values,
                  uint32_t *tokens);

#endif
