/*
 * Work that may end its process, done in a child: what kills the child is an error here.
 *
 * The child has the memory of the parent, one thread, and a pipe back. It is killed when the thread
 * that started it ends. Memory that it takes is given back when it ends.
 */
#ifndef SLUICE_ENGINE_LLAMA_TRIAL_H
#define SLUICE_ENGINE_LLAMA_TRIAL_H

#include <stddef.h>

struct llama_trial; /* in the child: the way back */

/* Runs in the child; what it leaves in answer[answer_bytes] (at first what the parent has there)
 * reaches the parent, and so do the code that it returns and the text behind it. */
typedef int (*llama_trial_work)(struct llama_trial *trial, void *arg, void *answer);

/* In the child: a sentence for the parent's `tell`, at once (printf-style, at most 511 bytes). */
void llama_trial_tell(struct llama_trial *trial, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Do `work` in a child and wait. `doing` completes "llama.cpp failed while it was ...". tell (may
 * be NULL) is called on the calling thread. Returns what work returned; ERR_FORMAT where the child
 * died of what it did (SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL: the text names it, and llama.cpp's
 * assertion); ERR_NOMEM where that was SIGKILL, which is how the system takes memory back; ERR_IO
 * where another signal stopped it, or there is no child to be had. Blocks. */
int llama_trial_run(const char *doing, llama_trial_work work, void *arg, void *answer,
                    size_t answer_bytes, void (*tell)(void *arg, const char *sentence),
                    void *tell_arg);

#endif
