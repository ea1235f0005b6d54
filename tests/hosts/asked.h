/* The batched host as a process that is asked for one run after another (`batched --asked 1`). */
#ifndef SLUICE_TESTS_HOSTS_ASKED_H
#define SLUICE_TESTS_HOSTS_ASKED_H

#include <stdio.h>
#include <sys/types.h>

struct asked {
    pid_t pid;       /* 0: none */
    FILE *to, *from; /* its standard input and output */
};

struct asked_figures {
    long tokens;    /* generated */
    double seconds; /* of the clock */
    double p99_ms;  /* of a step's milliseconds */
};

/* Start a command, which the shell reads. It ends with this process at the latest. ERR_IO. */
int asked_start(const char *command, struct asked *asked);
/* Ask for one run, and wait for its figures. ERR_STATE: it ended; ERR_FORMAT: no figures came. */
int asked_run(struct asked *asked, struct asked_figures *figures);
/* Ask for no more, and wait for its end. */
void asked_stop(struct asked *asked);

#endif
