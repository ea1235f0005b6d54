/*
 * The processes that `sluice up` runs: started in a process group each, so that a Ctrl-C at the
 * terminal reaches sluice alone; their stderr appended to a log file; told of sluice's death by a
 * pipe; started again when they die, with growing pauses, and given up when they die again and
 * again while nothing moves.
 */
#ifndef SLUICE_CLI_CHILDREN_H
#define SLUICE_CLI_CHILDREN_H

#include "wiring/processes.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    CHILDREN_MAX = 600,
    CHILD_MAX_ARGUMENTS = 160,
    CHILD_BACK_OFF_MS = 200,
    CHILD_BACK_OFF_MAX_MS = 10000,
    CHILD_REVIVE_MS = 500,
    CHILD_DEATHS = 5,        /* so many within ... */
    CHILD_DEATHS_MS = 60000, /* ... this, without progress, end the run */
};

enum child_phase {
    CHILD_WAITING, /* to be started at start_ms */
    CHILD_RUNNING,
    CHILD_DONE, /* exited with 0 by itself, or after a stop */
    CHILD_GIVEN_UP
};

/* What is known of the pipeline as a whole. */
struct child_progress {
    uint64_t moved;   /* any number that changes when rows move */
    uint64_t answers; /* how often that was told: without an answer nobody knows it */
};

struct child {
    char name[64]; /* "capture-0" */
    enum process_kind role;
    enum child_phase phase;
    char *argument[CHILD_MAX_ARGUMENTS]; /* NULL-terminated, owned; [0] is the program's path */
    char *log_file;                      /* owned */
    off_t log_from;                      /* its size when this run began */
    int keeps_stdin;                     /* otherwise /dev/null */
    pid_t pid;
    int status;                       /* of the last death, as waitpid() gives it */
    unsigned deaths;                  /* since the last progress */
    unsigned restarts, restarts_told; /* told: to a person, the caller's to keep */
    int64_t death_ms[CHILD_DEATHS];   /* the last ones, newest first */
    struct child_progress at_first;   /* at the oldest of them */
    int64_t start_ms, back_off_ms;
};

struct children {
    struct child child[CHILDREN_MAX];
    size_t count;
    int parent_read, parent_write; /* the pipe; its write end is closed by our death */
    int restart;                   /* 0: a death gives a child up at once */
    int stopping;                  /* deaths are expected */
};

/* Make the pipe. ERR_IO. children_fini() closes it and frees; running children then drain. */
int children_init(struct children *children, int restart);
void children_fini(struct children *children);

/* Add one to be started. `arguments` (NULL-terminated) are copied. ERR_LIMIT, ERR_NOMEM. */
int children_add(struct children *children, enum process_kind role, const char *name,
                 const char *const *arguments, const char *log_file, int keeps_stdin);

/* Reap the dead and start what is due. A child that dies again and again is given up where nothing
 * moved meanwhile; while nobody could tell, as the broker doesn't answer, it is not, unless it is
 * the broker itself. ERR_OK, or the error to end the run with: err_text() names the child. Never
 * blocks. */
int children_tend(struct children *children, int64_t now_ms, const struct child_progress *progress);

/* Start one again, in half a second, that ended with 0 though there is work left: somebody else
 * told it to end. Nothing where it did not end so. */
void child_revive(struct child *child, int64_t now_ms);
/* The same of all of a role. */
void children_revive(struct children *children, enum process_kind role, int64_t now_ms);

/* Send a signal to all running children of a role. */
void children_signal(struct children *children, enum process_kind role, int signal);

/* Children of a role that run or are to be started; that run now. */
size_t children_left(const struct children *children, enum process_kind role);
size_t children_running(const struct children *children, enum process_kind role);

/* How a child ended, for people: "exit code 1", "signal 9 (Killed)". Writes out[bytes]. */
void child_death(const struct child *child, char *out, size_t bytes);

#endif
