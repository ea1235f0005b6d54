#include "sink/consumers.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct seen { /* what tells that a file was replaced */
    ino_t inode;
    struct timespec modified;
};

struct consumers {
    char dir[CONFIG_PATH_BYTES];
    uint32_t count;
    char *const *name;                    /* (count) */
    struct consumer_state *state;         /* (count) */
    const struct consumer_state **states; /* (count) NULL: none written yet */
    struct consumer_progress *progress;   /* (count) */
    struct seen *seen;                    /* (count) */
};

int consumers_new(const char *buffer_dir, const struct config_list *names,
                  struct consumers **consumers)
{
    struct consumers *c = calloc(1, sizeof *c);
    if (!c) return err_set(ERR_NOMEM, "no memory for consumers");
    size_t n = names->count + 1; /* none is allowed */
    c->count = names->count;
    c->name = names->item;
    c->state = calloc(n, sizeof *c->state);
    c->states = calloc(n, sizeof *c->states);
    c->progress = calloc(n, sizeof *c->progress);
    c->seen = calloc(n, sizeof *c->seen);
    int fits = snprintf(c->dir, sizeof c->dir, "%s", buffer_dir) < (int)sizeof c->dir;
    if (!c->state || !c->states || !c->progress || !c->seen || !fits) {
        consumers_free(c);
        return err_set(ERR_NOMEM, "no memory for consumers");
    }
    *consumers = c;
    return ERR_OK;
}

void consumers_free(struct consumers *c)
{
    if (!c) return;
    for (uint32_t i = 0; c->states && i < c->count; i++)
        if (c->states[i]) consumer_state_free(&c->state[i]);
    free(c->state);
    free(c->states);
    free(c->progress);
    free(c->seen);
    free(c);
}

/* ---- files ---- */

static struct seen look(const struct consumers *c, uint32_t i)
{
    char path[CONFIG_PATH_BYTES + 128];
    struct stat st;
    struct seen seen = {0};
    snprintf(path, sizeof path, "%s/CONSUMERS/%s.state", c->dir, c->name[i]);
    if (lstat(path, &st)) return seen;
    seen.inode = st.st_ino;
    seen.modified = st.st_mtim;
    return seen;
}

static int is_same(const struct seen *a, const struct seen *b)
{
    return a->inode == b->inode && a->modified.tv_sec == b->modified.tv_sec &&
           a->modified.tv_nsec == b->modified.tv_nsec;
}

static int poll_state(struct consumers *c, uint32_t i, int *changed)
{
    struct seen seen = look(c, i);
    struct consumer_state state;
    if (is_same(&seen, &c->seen[i])) return ERR_OK;
    int result = consumer_read(c->dir, c->name[i], &state);
    if (result == ERR_FORMAT || result == ERR_CHECKSUM)
        return err_set(ERR_AGAIN, "%s; its trainer writes it again", err_text());
    if (result != ERR_OK && result != ERR_NOTFOUND) return result;
    if (c->states[i]) consumer_state_free(&c->state[i]);
    c->states[i] = result != ERR_OK ? NULL : &c->state[i];
    if (result == ERR_OK) c->state[i] = state;
    c->seen[i] = seen;
    *changed = 1;
    return ERR_OK;
}

int consumers_poll(struct consumers *c, int *changed)
{
    int result = ERR_OK;
    char why[1024];
    *changed = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        struct consumer_progress progress;
        if (!consumer_progress_read(c->dir, c->name[i], &progress)) c->progress[i] = progress;
        int one = poll_state(c, i, changed);
        if (result == ERR_OK && one != ERR_OK) {
            result = one;
            snprintf(why, sizeof why, "%s", err_text());
        }
    }
    return result == ERR_OK ? ERR_OK : err_set(result, "%s", why);
}

/* ---- asking ---- */

struct coverage consumers_coverage(const struct consumers *c)
{
    return (struct coverage){c->states, c->count};
}

const struct consumer_progress *consumers_progress(const struct consumers *c)
{
    return c->progress;
}

int consumers_finished(const struct consumers *c, uint32_t i)
{
    return c->states[i] && c->states[i]->finished;
}

int consumers_answered(const struct consumers *c, uint64_t checkpoint_request)
{
    for (uint32_t i = 0; i < c->count; i++) {
        uint64_t answered = c->states[i] ? c->states[i]->checkpoint_request : 0;
        if (!consumers_finished(c, i) && answered < checkpoint_request) return 0;
    }
    return 1;
}

int consumers_waiting(const struct consumers *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (!consumers_finished(c, i) && c->progress[i].waiting) return 1;
    return 0;
}

uint64_t consumers_highest(const struct consumers *c, uint32_t producer)
{
    uint64_t highest = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct consumer_state *s = c->states[i];
        if (!s) continue;
        if (producer < s->producers && s->producer[producer].lowest > highest + 1)
            highest = s->producer[producer].lowest - 1;
        for (size_t k = 0; k < s->slabs; k++)
            if (s->slab[k].producer == producer && s->slab[k].number > highest)
                highest = s->slab[k].number;
    }
    return highest;
}

uint32_t consumers_epoch(const struct consumers *c, uint32_t producer)
{
    uint32_t epoch = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct consumer_state *s = c->states[i];
        if (s && producer < s->producers && s->producer[producer].epoch > epoch)
            epoch = s->producer[producer].epoch;
    }
    return epoch;
}
