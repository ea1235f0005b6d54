#include "runtime/ours.h"

#include "base/err.h"
#include "base/leftover.h"
#include "base/own.h"
#include "config/made.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

static int is_link(const struct made_entry *entry)
{
    struct stat st;
    return fstatat(entry->folder, entry->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISLNK(st.st_mode);
}

/* Whatever lies there: only what has been found to be of the right kind can be ours. */
static int judge(void *arg, const struct made_entry *entry)
{
    const struct config *config = arg;
    char path[PATH_MAX];
    struct stat st;
    if (entry->wanted == MADE_FOREIGN) return ERR_OK;
    if (snprintf(path, sizeof path, "%s/%s", config->run_dir, entry->path) >= (int)sizeof path)
        return err_set(ERR_LIMIT, "path too long: %s", config->run_dir);
    if (entry->kind == MADE_FOREIGN && is_link(entry)) return own_refuse_link(path);
    int flags = entry->kind == MADE_FOLDER ? 0 : AT_SYMLINK_NOFOLLOW;
    if (fstatat(entry->folder, entry->name, &st, flags) != 0) return ERR_OK; /* gone meanwhile */
    const char *what = entry->wanted == MADE_FOLDER ? "folder" : "file";
    if (entry->kind == MADE_FOREIGN)
        return err_set(ERR_USAGE,
                       "%s is there and is no %s, which a run makes there: nothing was touched; "
                       "HINT: move it away, or choose another stream.run_dir",
                       path, what);
    int result = own_judge(what, path, &st);
    int is_elsewhere = result == ERR_OK && entry->kind == MADE_FOLDER && is_link(entry);
    return is_elsewhere ? own_parents(path, NULL, 0) : result;
}

static int walk(const struct config *config, const char *consumer)
{
    char *item[] = {(char *)consumer};
    struct config_list one = {.item = item, .count = 1};
    const struct config_list *consumers = consumer ? &one : &config->trainer.consumers;
    return made_walk_everywhere(config, consumers, judge, (void *)config);
}

int ours_check(const struct config *config, const char *consumer)
{
    int result = own_folder(config->run_dir, 1);
    if (result == ERR_OK) result = walk(config, NULL);
    return result == ERR_OK && consumer ? walk(config, consumer) : result;
}

static int sweep(void *arg, const struct made_entry *entry)
{
    unsigned *removed = arg;
    if (entry->kind == MADE_FILE) *removed += (unsigned)leftover_remove(entry->folder, entry->name);
    return ERR_OK;
}

unsigned ours_sweep(const struct config *config)
{
    unsigned removed = 0;
    (void)made_walk_everywhere(config, &config->trainer.consumers, sweep, &removed);
    return removed;
}
