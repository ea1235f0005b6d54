#include "tap/models.h"

#include "base/model_file.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { MODELS_MOST = 64 };

static struct {
    const void *model; /* NULL: free */
    char path[PATH_MAX];
    uint64_t key;
} * table;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The place of a model, of NULL a free one; -1: there is none. */
static int find(const void *model)
{
    if (!table) table = calloc(MODELS_MOST, sizeof *table);
    for (int i = 0; table && i < MODELS_MOST; i++)
        if (table[i].model == model) return i;
    return -1;
}

void models_note(const void *model, const char *path)
{
    char whole[PATH_MAX];
    uint64_t key;
    if (!model || !path) return;
    (void)model_file_key(path, &key);
    pthread_mutex_lock(&lock);
    int i = find(NULL);
    if (i >= 0) {
        table[i].model = model;
        table[i].key = key;
        snprintf(table[i].path, sizeof table[i].path, "%s", realpath(path, whole) ? whole : path);
    }
    pthread_mutex_unlock(&lock);
}

void models_forget(const void *model)
{
    pthread_mutex_lock(&lock);
    int i = model ? find(model) : -1;
    if (i >= 0) table[i].model = NULL;
    pthread_mutex_unlock(&lock);
}

uint64_t models_file(const void *model, char *path, size_t bytes)
{
    pthread_mutex_lock(&lock);
    int i = model ? find(model) : -1;
    uint64_t key = i >= 0 ? table[i].key : 0;
    snprintf(path, bytes, "%s", i >= 0 ? table[i].path : "");
    pthread_mutex_unlock(&lock);
    return key;
}
