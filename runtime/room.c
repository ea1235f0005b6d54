#include "runtime/room.h"

#include "base/err.h"
#include "runtime/process.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

void room_init(struct room *r)
{
    *r = (struct room){.since_ns = 0};
    pthread_mutex_init(&r->lock, NULL);
}

void room_fini(struct room *r)
{
    pthread_mutex_destroy(&r->lock);
}

/* A long path stands amid the text, and what is wrong at its end: what is cut is the middle. */
static void keep_ends(const char *why, char *out, size_t bytes)
{
    size_t length = strlen(why), head = bytes / 4, tail = bytes - head - sizeof "...";
    if (length < bytes)
        memcpy(out, why, length + 1);
    else
        snprintf(out, bytes, "%.*s...%s", (int)head, why, why + length - tail);
}

void room_short(struct room *r, const char *dir, uint64_t needed_bytes, const char *why)
{
    pthread_mutex_lock(&r->lock);
    if (!r->since_ns) r->since_ns = process_now_ns();
    r->needed_bytes = needed_bytes;
    snprintf(r->dir, sizeof r->dir, "%s", dir);
    keep_ends(why, r->why, sizeof r->why);
    pthread_mutex_unlock(&r->lock);
}

void room_found(struct room *r)
{
    pthread_mutex_lock(&r->lock);
    r->since_ns = 0;
    pthread_mutex_unlock(&r->lock);
}

int room_health(struct room *r)
{
    pthread_mutex_lock(&r->lock);
    int result = r->since_ns ? err_set(ERR_NOSPC, "%s", r->why) : ERR_OK;
    pthread_mutex_unlock(&r->lock);
    return result;
}

void room_show(struct room *r, struct metrics *metrics, size_t first, uint64_t now_ns)
{
    struct statvfs fs;
    double seconds = 0, free_bytes = 0, needed_bytes = 0;
    pthread_mutex_lock(&r->lock);
    if (r->since_ns) {
        seconds = ((double)now_ns - (double)r->since_ns) / 1e9;
        if (seconds < 0.001) seconds = 0.001; /* 0 says that it does not wait */
        needed_bytes = (double)r->needed_bytes;
        if (statvfs(r->dir, &fs) == 0) free_bytes = (double)fs.f_bavail * (double)fs.f_frsize;
    }
    pthread_mutex_unlock(&r->lock);
    metrics_set(metrics, first + ROOM_WAITING, seconds);
    metrics_set(metrics, first + ROOM_FREE, free_bytes);
    metrics_set(metrics, first + ROOM_NEEDED, needed_bytes);
}
