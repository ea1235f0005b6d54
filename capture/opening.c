#include "capture/opening.h"

#include "runtime/log.h"

#include <stdio.h>
#include <sys/stat.h>

void opening_init(struct opening *o, struct sender *sender)
{
    *o = (struct opening){.sender = sender};
    pthread_mutex_init(&o->lock, NULL);
}

void opening_end(struct opening *o)
{
    pthread_mutex_destroy(&o->lock);
}

/* ---- what the engine tells ---- */

static void preparing(void *arg, const char *file, uint64_t bytes)
{
    struct opening *o = arg;
    pthread_mutex_lock(&o->lock);
    snprintf(o->preparing, sizeof o->preparing, "%s", file);
    o->preparing_bytes = bytes;
    pthread_mutex_unlock(&o->lock);
}

static void reading(void *arg, const char *file, uint64_t bytes, uint64_t of_bytes)
{
    struct opening *o = arg;
    pthread_mutex_lock(&o->lock);
    snprintf(o->reading, sizeof o->reading, "%s", file ? file : "");
    o->read_bytes = bytes;
    o->reading_bytes = of_bytes;
    pthread_mutex_unlock(&o->lock);
}

static void checking(void *arg, int is_checked)
{
    struct opening *o = arg;
    pthread_mutex_lock(&o->lock);
    o->is_checked = is_checked;
    pthread_mutex_unlock(&o->lock);
}

static void tell(void *arg, int is_warning, const char *sentence)
{
    (void)arg;
    log_printf(is_warning ? LOG_WARN : LOG_INFO, "%s", sentence);
}

static int is_over(void *arg)
{
    struct opening *o = arg;
    return sender_order(o->sender).task == PRODUCER_HALT;
}

struct engine_watch opening_watch(struct opening *o)
{
    return (struct engine_watch){.preparing = preparing,
                                 .tell = tell,
                                 .reading = reading,
                                 .checking = checking,
                                 .arg = o,
                                 .is_over = is_over};
}

/* ---- what is asked ---- */

int opening_reads(struct opening *o, char *file, size_t bytes, struct opening_share *share)
{
    pthread_mutex_lock(&o->lock);
    snprintf(file, bytes, "%s", o->reading);
    *share = (struct opening_share){o->read_bytes, o->reading_bytes};
    pthread_mutex_unlock(&o->lock);
    return file[0] != '\0';
}

int opening_checks(struct opening *o)
{
    pthread_mutex_lock(&o->lock);
    int is_checked = o->is_checked;
    pthread_mutex_unlock(&o->lock);
    return is_checked;
}

int opening_prepares(struct opening *o, struct opening_share *share)
{
    struct stat st;
    pthread_mutex_lock(&o->lock);
    /* The file has its name only while it is made. */
    int is_made = o->preparing[0] && stat(o->preparing, &st) == 0;
    if (is_made) {
        uint64_t bytes = (uint64_t)st.st_size;
        *share = (struct opening_share){bytes, o->preparing_bytes};
        if (bytes > o->preparing_bytes) share->done_bytes = o->preparing_bytes;
    }
    pthread_mutex_unlock(&o->lock);
    return is_made;
}
