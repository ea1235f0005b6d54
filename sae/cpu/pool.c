#include "sae/cpu/pool.h"

#include "base/err.h"
#include "base/limits.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

struct worker {
    struct pool *pool;
    uint32_t number;
    pthread_t thread;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    uint64_t round; /* under lock: grows by one a task */
    uint32_t busy;  /* under lock: workers still in this round */
    int over;       /* under lock: threads are to end */
    pool_task task; /* of this round; written before the round begins */
    void *arg;
    uint32_t items;
    atomic_uint next; /* first item that nobody has taken */
    uint32_t threads;
    struct worker worker[]; /* (threads - 1) */
};

static void take_items(struct pool *pool, uint32_t number)
{
    for (;;) {
        uint32_t item = atomic_fetch_add(&pool->next, 1);
        if (item >= pool->items) return;
        pool->task(pool->arg, item, number);
    }
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct pool *pool = worker->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->round == seen && !pool->over) pthread_cond_wait(&pool->begin, &pool->lock);
        if (pool->over) break;
        seen = pool->round;
        pthread_mutex_unlock(&pool->lock);
        take_items(pool, worker->number);
        pthread_mutex_lock(&pool->lock);
        if (--pool->busy == 0) pthread_cond_signal(&pool->end);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

int pool_new(uint32_t threads, struct pool **out)
{
    if (threads == 0) threads = 1;
    struct pool *pool = calloc(1, sizeof *pool + (threads - 1) * sizeof pool->worker[0]);
    if (!pool) return err_set(ERR_NOMEM, "no memory for %u threads", threads);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->begin, NULL);
    pthread_cond_init(&pool->end, NULL);
    pool->threads = 1;
    sigset_t all, old; /* signals are for the process's own threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (uint32_t i = 1; i < threads; i++) {
        struct worker *worker = &pool->worker[i - 1];
        worker->pool = pool;
        worker->number = i;
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) break;
        pool->threads++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (pool->threads != threads) {
        pool_free(pool);
        return limits_no_threads(threads - 1, "trainer.threads");
    }
    *out = pool;
    return ERR_OK;
}

void pool_free(struct pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->over = 1;
    pthread_cond_broadcast(&pool->begin);
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 1; i < pool->threads; i++) pthread_join(pool->worker[i - 1].thread, NULL);
    pthread_cond_destroy(&pool->begin);
    pthread_cond_destroy(&pool->end);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

uint32_t pool_threads(const struct pool *pool)
{
    return pool->threads;
}

void pool_run(struct pool *pool, pool_task task, void *arg, uint32_t items)
{
    pthread_mutex_lock(&pool->lock);
    pool->task = task;
    pool->arg = arg;
    pool->items = items;
    atomic_store(&pool->next, 0);
    pool->busy = pool->threads - 1;
    pool->round++;
    pthread_cond_broadcast(&pool->begin);
    pthread_mutex_unlock(&pool->lock);
    take_items(pool, 0);
    pthread_mutex_lock(&pool->lock);
    while (pool->busy > 0) pthread_cond_wait(&pool->end, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
