/* The numbers of a running pipeline at one moment, as its broker tells them. */
#ifndef SLUICE_CLI_SNAPSHOT_H
#define SLUICE_CLI_SNAPSHOT_H

#include "config/config.h"
#include "runtime/ask.h"

#include <jansson.h>

struct disk_wait { /* a process that cannot write; NaN or 0 seconds: none */
    double seconds, free_bytes, needed_bytes;
    char process[64];
};

struct snapshot {                        /* totals; NaN: nobody has said (yet) */
    double tokens;                       /* rows of the model, in all lives of the producers */
    double captured_rows;                /* of them, that passed the filters */
    double stored_rows;                  /* committed to the buffer, all lives */
    double life_rows;                    /* committed, in this life of the sink */
    double planned_rows;                 /* of the whole stream; 0: not known */
    double shed_rows;                    /* of them; all lives, as far as RUN/capture tells */
    double rejected_rows, filtered_rows; /* all lives, each row once */
    double special_rows, first_rows, norm_rows;
    double documents, skipped, replaced; /* of the corpus, as the farthest producer has it */
    double buffer_slabs, buffer_capacity_slabs;
    double trained_rows, planned_draws; /* of the trainer that is furthest behind */
    double fve, l0, dead, features;     /* of the first SAE of the first trainer */
    double held_out_rows, missed_rows;  /* the latter were replaced before they were drawn */
    double producers, ended_producers;  /* as the sink has it */
    struct disk_wait sink_disk, trainer_disk, capture_disk; /* of several, who waits longest */
    /* What they are at (proto/phase.h): of several, who is furthest behind; -1: nobody says. */
    int capture_phase, trainer_phase;
    double capture_phase_done, capture_phase_size, trainer_phase_done, trainer_phase_size;
    int streaming_captures;
    int trainers, captures, sinks; /* that reported within the last five seconds */
};

/* A connection to the broker of this run, on this host or another; it need not be there yet. The
 * caller ask_close()s it. Errors of ask_open(), and of reading keys. */
int snapshot_open(const struct config *config, struct ask **ask);
/* Ask it. ERR_NOTFOUND: nothing listens where it would; ERR_AGAIN: no answer; ERR_IO: it cannot be
 * asked, as this user may not; ERR_FORMAT. Blocks for at most half a second. The caller calls json_decref(*status). */
int snapshot_ask(const struct config *config, struct ask *ask, json_t **status);
/* Both, once. */
int snapshot_fetch(const struct config *config, json_t **status);
/* Whether such a result says that no broker answers: by any other nothing is known of the stream. */
int snapshot_is_silence(int result);

/* Whether a process of that name has reported within the last five seconds. */
int snapshot_has(const json_t *status, const char *name);

/* Read the numbers out of a document; what is missing becomes NaN. */
void snapshot_read(const json_t *status, struct snapshot *snapshot);

/* What RUN/capture tells where it is more than what was reported: a producer that has ended is
 * forgotten by the broker after some minutes, and one that has just begun has not reported yet.
 * Reads the disk. */
void snapshot_take_files(const struct config *config, struct snapshot *snapshot);

#endif
