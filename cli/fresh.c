#include "cli/fresh.h"

#include "base/err.h"
#include "config/made.h"
#include "runtime/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMED = 3 };

struct fresh {
    const struct config *config;
    char named[1024]; /* the first things that were left alone */
    unsigned left;
};

static int refuse_link(void *arg, const struct made_entry *entry)
{
    const struct fresh *f = arg;
    struct stat st;
    if (strchr(entry->path, '/')) return ERR_OK;
    if (!made_name_taken(entry->path) && !config_has_consumer(f->config, entry->path))
        return ERR_OK;
    if (fstatat(entry->folder, entry->name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISLNK(st.st_mode))
        return ERR_OK;
    return err_set(ERR_USAGE,
                   "%s/%s is a symbolic link, and --fresh follows none: nothing was removed; HINT: "
                   "empty the folder that it points to yourself, or remove the link",
                   f->config->run_dir, entry->path);
}

/* The truth file is written again. */
static int leave_alone(struct fresh *f, const char *path)
{
    if (strcmp(path, f->config->capture.synthetic.truth_file) == 0) return ERR_OK;
    size_t used = strlen(f->named);
    if (f->left++ < NAMED)
        snprintf(f->named + used, sizeof f->named - used, "%s%.200s", used ? ", " : "", path);
    return ERR_OK;
}

/* A marker goes with its folder; the run's stays, as does the lock that is held. */
static int is_kept(const struct made_entry *entry)
{
    return strcmp(entry->path, "lock") == 0 || strcmp(entry->name, FOLDER_MARKER) == 0;
}

/* Where nothing else is left in the folder. */
static void remove_lone_marker(const struct made_entry *entry)
{
    int fd = openat(entry->folder, entry->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    int markers = 0, others = 0;
    struct dirent *e;
    while (dir && (e = readdir(dir))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (strcmp(e->d_name, FOLDER_MARKER) == 0)
            markers++;
        else
            others++;
    }
    if (markers > 0 && others == 0) unlinkat(fd, FOLDER_MARKER, 0);
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
}

static int cannot_remove(const struct fresh *f, const struct made_entry *entry)
{
    return err_set(ERR_IO, "cannot remove %s/%s: %s", f->config->run_dir, entry->path,
                   strerror(errno));
}

/* A folder with something in it that is not ours stays, and keeps its marker; and so does one that
 * a disk is mounted on. */
static int remove_folder(struct fresh *f, const struct made_entry *entry)
{
    remove_lone_marker(entry);
    if (unlinkat(entry->folder, entry->name, AT_REMOVEDIR) == 0) return ERR_OK;
    if (errno == ENOTEMPTY || errno == EEXIST || errno == EBUSY || errno == ENOENT) return ERR_OK;
    return cannot_remove(f, entry);
}

static int remove_entry(void *arg, const struct made_entry *entry)
{
    struct fresh *f = arg;
    if (entry->kind == MADE_FOREIGN) return leave_alone(f, entry->path);
    if (entry->kind == MADE_FOLDER) return remove_folder(f, entry);
    if (is_kept(entry)) return ERR_OK;
    if (unlinkat(entry->folder, entry->name, 0) == 0 || errno == ENOENT) return ERR_OK;
    return cannot_remove(f, entry);
}

int fresh_start(const struct config *config)
{
    struct fresh f = {.config = config};
    const struct config_list *consumers = &config->trainer.consumers;
    int result = made_walk(config, consumers, refuse_link, &f);
    if (result == ERR_OK) result = folder_check(config); /* a consumer's may be somebody else's */
    if (result == ERR_OK) result = made_walk(config, consumers, remove_entry, &f);
    if (result == ERR_OK && f.left > 0)
        fprintf(stderr, "sluice: --fresh left alone in %s: %s%s\n", config->run_dir, f.named,
                f.left > NAMED ? ", ..." : "");
    return result;
}
