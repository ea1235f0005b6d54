#include "base/limits.h"

#include "base/err.h"

#include <pthread.h>
#include <signal.h>

enum { MAX_THREADS = 64 };

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t open;
    int is_open; /* under lock */
};

/* Each waits until all that could be started are there. */
static void *pass(void *arg)
{
    struct gate *gate = arg;
    pthread_mutex_lock(&gate->lock);
    while (!gate->is_open) pthread_cond_wait(&gate->open, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    return NULL;
}

int limits_threads(uint32_t count, const char *what)
{
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    pthread_t thread[MAX_THREADS];
    uint32_t started = 0;
    sigset_t all, old; /* signals are for the process's own threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (count > MAX_THREADS) count = MAX_THREADS;
    while (started < count && pthread_create(&thread[started], NULL, pass, &gate) == 0) started++;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_mutex_lock(&gate.lock);
    gate.is_open = 1;
    pthread_cond_broadcast(&gate.open);
    pthread_mutex_unlock(&gate.lock);
    for (uint32_t i = 0; i < started; i++) pthread_join(thread[i], NULL);
    return started == count ? ERR_OK : limits_no_threads(count, what);
}
