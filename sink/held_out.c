#include "sink/held_out.h"

#include "base/err.h"
#include "base/fileio.h"
#include "buffer/aged.h"
#include "config/made.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Its trainer still measures with them, and sees to them itself. */
static int is_in_use(const struct held_out_sweep *s, const struct made_entry *entry)
{
    char name[PATH_MAX]; /* of the consumer whose folder it lies in */
    snprintf(name, sizeof name, "%.*s", (int)strcspn(entry->path, "/"), entry->path);
    return config_has_consumer(s->config, name) &&
           faccessat(entry->folder, "summary.json", F_OK, 0) != 0;
}

static int wipe(struct held_out_sweep *s, const struct made_entry *entry)
{
    char path[PATH_MAX];
    uint64_t oldest_ns = s->is_end && !is_in_use(s, entry) ? UINT64_MAX : s->oldest_ns;
    if (snprintf(path, sizeof path, "%s/%s", s->config->run_dir, entry->path) >= PATH_MAX)
        return err_set(ERR_LIMIT, "path too long: %s", entry->path);
    return aged_wipe(path, s->width, oldest_ns, &s->rows);
}

static int remove_unaged(struct held_out_sweep *s, const struct made_entry *entry)
{
    if (unlinkat(entry->folder, entry->name, 0) == 0)
        s->files++;
    else if (errno != ENOENT)
        return file_error("cannot remove", entry->path);
    return ERR_OK;
}

struct visitor {
    struct held_out_sweep *sweep;
    struct err_first failed;
};

static int visit(void *arg, const struct made_entry *entry)
{
    struct visitor *v = arg;
    if (entry->kind != MADE_FILE) return ERR_OK;
    if (strcmp(entry->name, "held_out.aged") == 0)
        err_first_take(&v->failed, wipe(v->sweep, entry));
    if (strcmp(entry->name, "held_out.rows") == 0)
        err_first_take(&v->failed, remove_unaged(v->sweep, entry));
    return ERR_OK;
}

int held_out_sweep(struct held_out_sweep *s)
{
    struct visitor v = {.sweep = s};
    err_first_take(&v.failed, made_walk_everywhere(s->config, NULL, visit, &v));
    return err_first_of(&v.failed);
}
