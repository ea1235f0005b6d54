/* The batched host: a model, its slots, and what happens to them step by step. */
#ifndef SLUICE_TESTS_HOSTS_HOST_H
#define SLUICE_TESTS_HOSTS_HOST_H

#include "tests/hosts/slot.h"

#include <stdio.h>

enum { HOST_MOST_SLOTS = 64, HOST_MOST_PROMPTS = 1024 };

struct host_options {
    const char *model, *beside; /* GGUF files; beside NULL: no second context */
    const char *system;         /* NULL: none */
    const char *prompts[HOST_MOST_PROMPTS];
    int prompt_count;
    int slots, steps, turns, rounds, context_tokens, batch_tokens, ubatch_tokens, threads;
    int stagger;   /* steps between the starts of two slots */
    int speculate; /* guesses per step and slot */
    int shift;     /* tokens that a slot holds before it is shifted; 0: never */
    int save;      /* step at which slot 0 is saved; 0: never. Two steps later it goes back */
    int reuse;     /* 1: a next turn keeps what the context has of the slot */
    int twins;     /* 1: slot 1 gets the prompt of slot 0 */
    int processes; /* 1: llama_process() */
    int unified;   /* 1: one cache for all slots */
    int crash;     /* step at which the program aborts; 0: never */
    FILE *truth;   /* NULL: nowhere */
};

struct host_figures {
    double seconds;       /* of all steps */
    long tokens;          /* generated */
    double *step_seconds; /* of steps in which a token was generated */
    int steps, room;
};

struct host {
    struct host_options options;
    struct llama_model *model, *beside_model;
    struct llama_context *context, *beside_context;
    struct batch batch, beside;
    struct slot slots[HOST_MOST_SLOTS];
    llama_token beside_said[4096];
    int beside_count;
    int step; /* of the round */
    struct host_figures figures;
};

/* Load the models. Ends the program where that cannot be. `host` is zeroed before. */
void host_open(struct host *host, const struct host_options *options);
/* All rounds, with figures of their own: the slots hold the last one's afterwards. */
void host_run(struct host *host);
void host_close(struct host *host);

#endif
