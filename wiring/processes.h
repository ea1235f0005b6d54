/*
 * The processes that a pipeline is made of: the one list of them. What each is called in the
 * configuration, in logs, reports and metrics, which program runs it, how many there are and how
 * each is told which one it is. Who adds a process adds it here; tests/setup/test_processes.sh
 * holds the Makefile, the man pages and the files that a run makes (config/made.c) to this list.
 */
#ifndef SLUICE_WIRING_PROCESSES_H
#define SLUICE_WIRING_PROCESSES_H

#include "config/config.h"

#include <stddef.h>

/* In the order in which `sluice up` starts them. */
enum process_kind {
    PROCESS_BROKER,
    PROCESS_SINK,
    PROCESS_CAPTURE, /* one for each of capture.producers: "capture-0" */
    PROCESS_TRAINER, /* one for each of trainer.consumers: "trainer-main" */
    PROCESS_KINDS    /* how many there are */
};

/* "broker": its section of the configuration, its kind in reports, its part of metrics' names. */
const char *processes_section(enum process_kind kind);
/* "sluice-broker": the program that runs it, and the name of its man page. */
const char *processes_program(enum process_kind kind);
/* "--producer": the option that tells it which one it is; NULL where there is one alone. */
const char *processes_option(enum process_kind kind);

/* How many of a kind `sluice up` starts. */
uint32_t processes_count(const struct config *config, enum process_kind kind);
/* Which one the `index`th is, as its option takes it: "0", "main"; "" where there is one alone.
 * Valid as long as config and out. */
const char *processes_which(const struct config *config, enum process_kind kind, uint32_t index,
                            char out[16]);
/* "capture-0", "broker": what it is called in logs, reports and files of the run. Cut where it is
 * longer than out[bytes] holds. */
void processes_name(enum process_kind kind, const char *which, char *out, size_t bytes);

/* Back from such a name, or from a kind's: -1 where it is of none. */
int processes_kind_of(const char *name);
/* "main" of "trainer-main"; "" of one that is alone. */
const char *processes_which_of(const char *name);

#endif
