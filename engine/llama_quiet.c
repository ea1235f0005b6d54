#include "engine/llama_quiet.h"

#include <llama.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char first_error[400];

static void keep_errors(enum ggml_log_level level, const char *text, void *arg)
{
    (void)arg;
    if (level != GGML_LOG_LEVEL_ERROR) return;
    pthread_mutex_lock(&lock);
    if (first_error[0] == '\0') {
        snprintf(first_error, sizeof first_error, "%s", text);
        first_error[strcspn(first_error, "\r\n")] = '\0';
    }
    pthread_mutex_unlock(&lock);
}

static void start(void)
{
    llama_log_set(keep_errors, NULL);
    llama_backend_init();
}

void llama_quiet_start(void)
{
    pthread_once(&once, start);
}

void llama_quiet_clear(void)
{
    pthread_mutex_lock(&lock);
    first_error[0] = '\0';
    pthread_mutex_unlock(&lock);
}

const char *llama_quiet_error(void)
{
    static _Thread_local char copy[sizeof first_error];
    pthread_mutex_lock(&lock);
    memcpy(copy, first_error, sizeof copy);
    pthread_mutex_unlock(&lock);
    return copy;
}
