/*
 * A few threads that share the items of one task at a time. Nobody spins: idle threads sleep, so
 * the pool can live beside an engine that wants the same cores.
 *
 * Which thread takes which item is not fixed. A task must make each item's result depend on the
 * item alone; then the whole is the same bit for bit whatever the number of threads.
 */
#ifndef SLUICE_SAE_CPU_POOL_H
#define SLUICE_SAE_CPU_POOL_H

#include <stdint.h>

struct pool;

/* `thread` < pool_threads(), for scratch memory: two items never run under one number at once. */
typedef void (*pool_task)(void *arg, uint32_t item, uint32_t thread);

/* A pool of `threads` (1 or more), the caller's own among them. ERR_NOMEM. pool_free() ends it. */
int pool_new(uint32_t threads, struct pool **pool);
void pool_free(struct pool *pool);
uint32_t pool_threads(const struct pool *pool);

/* Run task(arg, i, thread) for all i < items and return when all are done. One caller at a time. */
void pool_run(struct pool *pool, pool_task task, void *arg, uint32_t items);

#endif
