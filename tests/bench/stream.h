/*
 * The stream with rows made beforehand: from one producer, a process of the bench's own, through the
 * real broker and the real sink to committed slabs. Frames of 256 KiB (576 values per row, bf16), codec
 * none, durability process. The producer declares each slab finished as soon as it is acked, so the
 * sink frees as it goes; nothing is drawn. Each frame has a number of its own but the same rows.
 */
#ifndef SLUICE_BENCH_STREAM_H
#define SLUICE_BENCH_STREAM_H

#include <stdint.h>
#include <sys/types.h>

struct stream_options {
    const char *build;  /* folder of sluice-broker and sluice-sink */
    const char *folder; /* for the configuration and the run; one stream at a time */
    const char *broker; /* keys of the configuration's section, in YAML's flow style; NULL: none */
    uint64_t frames;    /* after them the stream ends */
    uint64_t *acked;    /* shared memory: frames stored so far; NULL: nobody looks */
};

struct stream {
    pid_t broker, sink, producer;
    int result; /* descriptor */
    char run[96];
};

struct stream_cost {
    double gb, seconds; /* sent and acked, of 1e9 bytes; both 0: the stream failed */
    double cpu_seconds; /* user and system, of the three processes, start and end among them */
};

/* Start the three processes. A failure ends this process. */
void stream_start(const struct stream_options *options, struct stream *stream);
/* Start a broker alone, with nothing to do. */
pid_t stream_broker(const struct stream_options *options);
/* Wait for its end, and remove the run. */
struct stream_cost stream_wait(struct stream *stream);
/* End it at once. */
void stream_kill(struct stream *stream);

double stream_median(double *values, int count); /* sorts them */
double stream_seconds(void);
/* Say what failed and err_text(), and end this process. */
void stream_die(const char *what);
/* A child that dies with this process, however that dies. */
pid_t stream_fork(void);

#endif
