/*
 * One batch of tokens of many slots, decoded through llama_decode() as most programs do, or through
 * llama_process() as llama-server does. What cannot be done ends the program: it is a test's.
 */
#ifndef SLUICE_TESTS_HOSTS_BATCH_H
#define SLUICE_TESTS_HOSTS_BATCH_H

#include <llama.h>
#include <stdio.h>

struct batch {
    struct llama_context *context;
    int number; /* of the context: 0 the first, 1 another model's */
    int call;   /* batches decoded so far */
    int room, count;
    int processes;                 /* 1: by llama_process() */
    struct llama_batch plain;      /* unless it processes */
    struct llama_batch_ext *large; /* if it does */
    FILE *truth;                   /* NULL: nowhere */
};

/* `room`: tokens that it can hold, at most the context's n_batch. The context stays the caller's. */
void batch_open(struct batch *batch, struct llama_context *context, int number, int room,
                int processes, FILE *truth);
void batch_close(struct batch *batch);

/* Add a token; `answers`: its logits are wanted. Returns its index. */
int batch_add(struct batch *batch, int slot, int position, llama_token token, int answers);
/* Decode what was added, and begin anew. Logits of an index stay until the next call. */
void batch_run(struct batch *batch);
/* The most probable token behind that of the index; of equals the first. */
llama_token batch_greedy(const struct batch *batch, int index);

/* Say why on stderr, and end the program with 1. */
void host_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
