/*
 * One block of memory for many arrays, laid out by a function that runs twice: first it is counted
 * what it takes, then pointers are laid over the block. So what is foretold and what is allocated
 * can't come apart, and there is one thing to free.
 *
 *   struct arena a = {0};
 *   lay(&a);                  counts: every arena_take() gives NULL
 *   arena_open(&a);           allocates a.used bytes
 *   lay(&a);                  the same calls in the same order: now they give memory
 */
#ifndef SLUICE_SAE_ARENA_H
#define SLUICE_SAE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena {
    char *base;  /* on 64 bytes; NULL: only counts */
    size_t used; /* bytes taken so far */
    size_t size; /* bytes of the block; 0: there is none */
    void *block; /* what free() wants */
    int shared;  /* several layouts take turns: nothing between its arrays is guarded */
};

/* `count` elements of `bytes` each, on 64 bytes, zero after arena_open(). NULL while it counts. */
void *arena_take(struct arena *arena, size_t count, size_t bytes);
/* Allocate what was counted, all zero, and begin to lay. ERR_NOMEM. arena_close() frees. */
int arena_open(struct arena *arena);
void arena_close(struct arena *arena);

#endif
