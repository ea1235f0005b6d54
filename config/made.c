#include "config/made.h"

#include "base/err.h"
#include "base/leftover.h"
#include "proto/message.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, DEPTH_MAX = 16 };

/* Below the run's folder. `#` is a number as "%u" writes it, `@` the name of a consumer, `?` a
 * digit,
 * `$` the name of a counter of the configuration, and `*` anything without a slash. */
static const char *const files[] = {
    "lock",
    "sluice.run",
    "descriptor.json",
    "finish.json",
    "history",
    "history.damaged",
    "buffer/data.mdb",
    "buffer/lock.mdb",
    "buffer/boot",
    "buffer/damage",
    "buffer/retention",
    "buffer/writer.lock",
    "buffer/CONSUMERS/@.state",
    "buffer/CONSUMERS/@.progress",
    "buffer.damaged-#/data.mdb",
    "buffer.damaged-#/lock.mdb",
    "buffer.damaged-#/boot",
    "buffer.damaged-#/damage",
    "capture/capture-#.json",
    "capture/capture-#.tally",
    "http/broker",
    "http/sink",
    "http/capture-#",
    "http/trainer-@",
    "ipc/front",
    "ipc/back",
    "ipc/front.lock",
    "ipc/back.lock",
    "log/broker.log",
    "log/sink.log",
    "log/capture-#.log",
    "log/trainer-@.log",
    "log/broker.log.old",
    "log/sink.log.old",
    "log/capture-#.log.old",
    "log/trainer-@.log.old",
    NULL,
};
static const char *const folders[] = {
    "buffer", "buffer/CONSUMERS", "buffer.damaged-#", "capture", "http", "index", "ipc", "log",
    NULL,
};

/* Below a consumer's folder. */
static const char *const consumer_files[] = {
    "sluice.run",
    "checkpoint-????????????????.sluice",
    "trainer.lock",
    "held_out.rows",
    "held_out.aged",
    "history.tsv",
    "metrics.jsonl",
    "tensorboard/*/events.out.tfevents.??????????.sluice",
    "summary.json",
    "finish.json",
    "sweep.tsv",
    "scaling.svg",
    "$.counts",
    "export/*/saelens/cfg.json",
    "export/*/saelens/sae_weights.safetensors",
    "export/*/hooks/cfg.json",
    "export/*/hooks/weights.safetensors",
    "export/*/circuit-tracer/config.yaml",
    "export/*/circuit-tracer/metadata.json",
    "export/*/circuit-tracer/W_enc_#.safetensors",
    "export/*/circuit-tracer/W_dec_#.safetensors",
    "export/*/sparsify/*/cfg.json",
    "export/*/sparsify/*/sae.safetensors",
    NULL,
};
static const char *const consumer_folders[] = {
    "export",
    "export/*",
    "export/*/saelens",
    "export/*/hooks",
    "export/*/circuit-tracer",
    "export/*/sparsify",
    "export/*/sparsify/*",
    "tensorboard",
    "tensorboard/*",
    NULL,
};

/* How many bytes of `path` the sign at `pattern` may stand for at most; 0: none. */
static size_t longest(const struct config *config, char sign, const char *path)
{
    size_t length = strcspn(path, "/"), digits = strspn(path, "0123456789");
    if (sign == '#') return path[0] == '0' ? 1 : digits;
    if (sign == '?') return digits > 0;
    if (sign == '@') return length < MESSAGE_NAME_BYTES ? length : MESSAGE_NAME_BYTES - 1;
    if (sign != '$') return length;
    const struct config_trainer *t = &config->trainer;
    for (uint32_t i = 0; i < t->saes_count; i++) {
        size_t name = strlen(t->saes[i].name);
        if (t->saes[i].options.arch == SAE_COUNT &&
            name + strlen(".counts") == strcspn(path, "/") &&
            strncmp(path, t->saes[i].name, name) == 0)
            return name;
    }
    return 0;
}

static int is_name(const char *path, size_t length)
{
    char name[MESSAGE_NAME_BYTES];
    snprintf(name, sizeof name, "%.*s", (int)length, path);
    return message_name_ok(name);
}

static int matches_one(const struct config *config, const char *pattern, const char *path)
{
    for (; *pattern && !strchr("#@?$*", *pattern); pattern++, path++)
        if (*pattern != *path) return 0;
    if (!*pattern) return !*path;
    size_t most = longest(config, *pattern, path);
    size_t least = *pattern == '#' || *pattern == '$' ? most : 1;
    for (size_t n = most; n > 0 && n >= least; n--)
        if ((*pattern != '@' || is_name(path, n)) && matches_one(config, pattern + 1, path + n))
            return 1;
    return 0;
}

static int matches(const struct config *config, const char *const *patterns, const char *path)
{
    for (; *patterns; patterns++)
        if (matches_one(config, *patterns, path)) return 1;
    return 0;
}

/* Files are written beside their place, as NAME.tmp.XXXXXX, and stay there where a process dies. */
static int matches_file(const struct config *config, const char *const *patterns, const char *path)
{
    char whole[PATH_BYTES];
    if (matches(config, patterns, path)) return 1;
    snprintf(whole, sizeof whole, "%s", path);
    size_t length = leftover_name(whole);
    whole[length] = '\0';
    return length && matches(config, patterns, whole);
}

int made_name_taken(const char *name)
{
    static const char *const temporary[] = {"descriptor.json.tmp.*", "sluice.run.tmp.*",
                                            "finish.json.tmp.*", NULL};
    return matches(NULL, files, name) || matches(NULL, folders, name) ||
           matches(NULL, temporary, name);
}

struct walk {
    const struct config *config;
    const struct config_list *consumers;
    int (*visit)(void *arg, const struct made_entry *entry);
    void *arg;
    int goes_elsewhere; /* and tells folders before what they hold */
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

static enum made_kind wanted(const struct walk *w, const char *path)
{
    const char *below = below_consumer(w, path);
    int folder = below ? !below[0] || matches(w->config, consumer_folders, below)
                       : matches(w->config, folders, path);
    if (folder) return MADE_FOLDER;
    int file = below ? below[0] && matches_file(w->config, consumer_files, below)
                     : matches_file(w->config, files, path);
    return file ? MADE_FILE : MADE_FOREIGN;
}

static enum made_kind kind_of(enum made_kind wanted, mode_t mode)
{
    if (S_ISDIR(mode)) return wanted == MADE_FOLDER ? wanted : MADE_FOREIGN;
    if (S_ISREG(mode) || S_ISSOCK(mode)) return wanted == MADE_FILE ? wanted : MADE_FOREIGN;
    return MADE_FOREIGN;
}

/* The folders that may be links to other disks. */
static int may_be_elsewhere(const struct walk *w, const char *path)
{
    return w->goes_elsewhere && !strchr(path, '/') &&
           (strcmp(path, "buffer") == 0 || is_consumer(w, path));
}

static int visit_all(const struct walk *w, int fd, const char *above, int depth);

static int visit_inner(const struct walk *w, const struct made_entry *entry, int flags, int depth)
{
    int inner = openat(entry->folder, entry->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
    if (inner < 0 && errno == ENOENT && w->goes_elsewhere) return ERR_OK; /* gone meanwhile */
    if (inner < 0)
        return err_set(ERR_IO, "cannot read the folder %s: %s", entry->path, strerror(errno));
    return visit_all(w, inner, entry->path, depth + 1);
}

static int visit_one(const struct walk *w, int fd, const char *above, const char *name, int depth)
{
    char path[PATH_BYTES];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s%s%s", above, above[0] ? "/" : "", name);
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return ERR_OK; /* gone meanwhile */
    struct made_entry entry = {.folder = fd, .name = name, .path = path, .wanted = MADE_FOREIGN};
    if (n < (int)sizeof path) entry.wanted = wanted(w, path);
    int follow = S_ISLNK(st.st_mode) && may_be_elsewhere(w, path) && fstatat(fd, name, &st, 0) == 0;
    entry.kind = kind_of(entry.wanted, st.st_mode);
    int result = w->goes_elsewhere ? w->visit(w->arg, &entry) : ERR_OK;
    if (result == ERR_OK && entry.kind == MADE_FOLDER)
        result = visit_inner(w, &entry, follow ? 0 : O_NOFOLLOW, depth);
    return result == ERR_OK && !w->goes_elsewhere ? w->visit(w->arg, &entry) : result;
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

static int walk(const struct walk *w)
{
    const struct config *config = w->config;
    int fd = open(config->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return ERR_OK;
    if (fd < 0)
        return err_set(ERR_IO, "cannot read the folder %s: %s", config->run_dir, strerror(errno));
    return visit_all(w, fd, "", 0);
}

int made_walk(const struct config *config, const struct config_list *consumers,
              int (*visit)(void *arg, const struct made_entry *entry), void *arg)
{
    struct walk w = {config, consumers, visit, arg, 0};
    return walk(&w);
}

int made_walk_everywhere(const struct config *config, const struct config_list *consumers,
                         int (*visit)(void *arg, const struct made_entry *entry), void *arg)
{
    struct walk w = {config, consumers, visit, arg, 1};
    return walk(&w);
}
