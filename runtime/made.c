#include "runtime/made.h"

#include "base/err.h"
#include "proto/message.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, DEPTH_MAX = 16 };

/* Below the run's folder. `*` stands for no slash. */
static const char *const files[] = {
    "lock",
    "sluice.run",
    "descriptor.json",
    "buffer/data.mdb",
    "buffer/lock.mdb",
    "buffer/boot",
    "buffer/writer.lock",
    "buffer/CONSUMERS/*.state",
    "buffer/CONSUMERS/*.progress",
    "buffer.damaged-[0-9]*/data.mdb",
    "buffer.damaged-[0-9]*/lock.mdb",
    "buffer.damaged-[0-9]*/boot",
    "capture/capture-[0-9]*.json",
    "capture/capture-[0-9]*.tally",
    "http/broker",
    "http/sink",
    "http/capture-[0-9]*",
    "http/trainer-*",
    "ipc/front",
    "ipc/back",
    "ipc/front.lock",
    "ipc/back.lock",
    "log/broker.log",
    "log/sink.log",
    "log/capture-[0-9]*.log",
    "log/trainer-*.log",
    "log/broker.log.old",
    "log/sink.log.old",
    "log/capture-[0-9]*.log.old",
    "log/trainer-*.log.old",
    NULL,
};
static const char *const folders[] = {
    "buffer", "buffer/CONSUMERS", "buffer.damaged-[0-9]*", "capture", "http", "ipc", "log", NULL,
};

/* Below a consumer's folder. */
static const char *const consumer_files[] = {
    "sluice.run",
    "checkpoint-????????????????.sluice",
    "held_out.rows",
    "history.tsv",
    "summary.json",
    "sweep.tsv",
    "scaling.svg",
    "*.counts",
    "export/*/saelens/cfg.json",
    "export/*/saelens/sae_weights.safetensors",
    "export/*/hooks/cfg.json",
    "export/*/hooks/weights.safetensors",
    "export/*/sparsify/*/cfg.json",
    "export/*/sparsify/*/sae.safetensors",
    NULL,
};
static const char *const consumer_folders[] = {
    "export",
    "export/*",
    "export/*/saelens",
    "export/*/hooks",
    "export/*/sparsify",
    "export/*/sparsify/*",
    NULL,
};

static int matches(const char *const *patterns, const char *path)
{
    for (; *patterns; patterns++)
        if (fnmatch(*patterns, path, FNM_PATHNAME) == 0) return 1;
    return 0;
}

/* Files are written beside their place, as NAME.tmp.XXXXXX, and stay there where a process dies. */
static int matches_file(const char *const *patterns, const char *path)
{
    char whole[PATH_BYTES];
    if (matches(patterns, path)) return 1;
    snprintf(whole, sizeof whole, "%s", path);
    char *temporary = strstr(whole, ".tmp.");
    if (!temporary || strchr(temporary, '/')) return 0;
    *temporary = '\0';
    return matches(patterns, whole);
}

int made_name_taken(const char *name)
{
    static const char *const temporary[] = {"descriptor.json.tmp.*", "sluice.run.tmp.*", NULL};
    return matches(files, name) || matches(folders, name) || matches(temporary, name);
}

struct walk {
    const struct config_list *consumers;
    int (*visit)(void *arg, const struct made_entry *entry);
    void *arg;
};

static int is_consumer(const struct walk *w, const char *name)
{
    if (made_name_taken(name) || !message_name_ok(name)) return 0;
    for (uint32_t i = 0; w->consumers && i < w->consumers->count; i++)
        if (strcmp(w->consumers->item[i], name) == 0) return 1;
    return !w->consumers;
}

/* The part of `path` below a consumer's folder, "" for the folder itself; NULL: it is in none. */
static const char *below_consumer(const struct walk *w, const char *path)
{
    char name[PATH_BYTES];
    size_t length = strcspn(path, "/");
    snprintf(name, sizeof name, "%.*s", (int)length, path);
    if (!is_consumer(w, name)) return NULL;
    return path[length] ? path + length + 1 : path + length;
}

static enum made_kind kind_of(const struct walk *w, const char *path, mode_t mode)
{
    const char *below = below_consumer(w, path);
    if (S_ISDIR(mode)) {
        int made = below ? !below[0] || matches(consumer_folders, below) : matches(folders, path);
        return made ? MADE_FOLDER : MADE_FOREIGN;
    }
    if (!S_ISREG(mode) && !S_ISSOCK(mode)) return MADE_FOREIGN;
    int made = below ? below[0] && matches_file(consumer_files, below) : matches_file(files, path);
    return made ? MADE_FILE : MADE_FOREIGN;
}

static int visit_all(const struct walk *w, int fd, const char *above, int depth);

static int visit_one(const struct walk *w, int fd, const char *above, const char *name, int depth)
{
    char path[PATH_BYTES];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s%s%s", above, above[0] ? "/" : "", name);
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return ERR_OK; /* gone meanwhile */
    struct made_entry entry = {.folder = fd, .name = name, .path = path};
    entry.kind = n < (int)sizeof path ? kind_of(w, path, st.st_mode) : MADE_FOREIGN;
    if (entry.kind == MADE_FOLDER) {
        int inner = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner < 0)
            return err_set(ERR_IO, "cannot read the folder %s: %s", path, strerror(errno));
        int result = visit_all(w, inner, path, depth + 1);
        if (result != ERR_OK) return result;
    }
    return w->visit(w->arg, &entry);
}

/* Takes `fd`. */
static int visit_all(const struct walk *w, int fd, const char *above, int depth)
{
    DIR *dir = depth <= DEPTH_MAX ? fdopendir(fd) : NULL;
    if (!dir) {
        close(fd);
        return err_set(ERR_LIMIT, "%s cannot be looked through", above);
    }
    struct dirent *entry;
    int result = ERR_OK;
    while (result == ERR_OK && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = visit_one(w, fd, above, entry->d_name, depth);
    closedir(dir);
    return result;
}

int made_walk(const struct config *config, const struct config_list *consumers,
              int (*visit)(void *arg, const struct made_entry *entry), void *arg)
{
    struct walk w = {consumers, visit, arg};
    int fd = open(config->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return ERR_OK;
    if (fd < 0)
        return err_set(ERR_IO, "cannot read the folder %s: %s", config->run_dir, strerror(errno));
    return visit_all(&w, fd, "", 0);
}
