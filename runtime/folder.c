#include "runtime/folder.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "config/made.h"
#include "proto/descriptor.h"
#include "proto/message.h"
#include "runtime/ours.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MARKER_BYTES_MAX = 4096, DEPTH_MAX = 32 };

static const char first_line[] = "sluice-run 1\n";

/* What is claimed: the run's folder, or with a consumer's name that one's. */
struct claim {
    const struct config *config;
    const char *consumer; /* NULL: of the run */
    char path[CONFIG_PATH_BYTES];
};

static int claim_of(const struct config *config, const char *consumer, struct claim *c)
{
    *c = (struct claim){.config = config, .consumer = consumer};
    if (consumer) return config_consumer_dir(config, consumer, c->path);
    snprintf(c->path, sizeof c->path, "%s", config->run_dir);
    return ERR_OK;
}

/* ---- the marker ---- */

static int marker_path(const struct claim *c, char *out)
{
    if (snprintf(out, PATH_MAX, "%s/" FOLDER_MARKER, c->path) < PATH_MAX) return ERR_OK;
    return err_set(ERR_LIMIT, "path too long: %.80s...", c->path);
}

static int marker_write(const struct claim *c)
{
    char path[PATH_MAX], text[MARKER_BYTES_MAX];
    int result = marker_path(c, path);
    if (result != ERR_OK) return result;
    int n = snprintf(text, sizeof text, "%sstream %s\n", first_line, c->config->stream.name);
    if (c->consumer) n += snprintf(text + n, sizeof text - (size_t)n, "consumer %s\n", c->consumer);
    n += snprintf(text + n, sizeof text - (size_t)n,
                  "\nThis folder was made by a run of Sluice. `sluice up --fresh` removes what the "
                  "run has made in it, and nothing else.\n");
    return file_create(path, text, (size_t)n);
}

/* The rest of the line that begins with `word` and a space into out[bytes]; 0: there is none. */
static int line_of(const char *text, const char *word, char *out, size_t bytes)
{
    size_t length = strlen(word);
    for (const char *p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
        if (strncmp(p, word, length) != 0 || p[length] != ' ') continue;
        p += length + 1;
        return snprintf(out, bytes, "%.*s", (int)strcspn(p, "\n"), p) < (int)bytes;
    }
    return 0;
}

static int marker_judge(const struct claim *c, const char *text)
{
    char stream[128] = "", consumer[128] = "";
    if (strncmp(text, "sluice-run ", 11) != 0)
        return err_set(ERR_USAGE,
                       "%s/" FOLDER_MARKER " is not the marker of a run; HINT: choose another "
                       "stream.run_dir",
                       c->path);
    if (strncmp(text, first_line, sizeof first_line - 1) != 0)
        return err_set(ERR_VERSION,
                       "the folder %s is of a newer version of Sluice (its " FOLDER_MARKER
                       " says so); HINT: use that version, or choose another stream.run_dir",
                       c->path);
    line_of(text, "stream", stream, sizeof stream);
    if (strcmp(stream, c->config->stream.name) != 0)
        return err_set(ERR_MISMATCH,
                       "the folder %s is of the stream '%s', and this one is called '%s'; HINT: "
                       "give each stream a run_dir of its own",
                       c->path, stream, c->config->stream.name);
    line_of(text, "consumer", consumer, sizeof consumer);
    if (strcmp(consumer, c->consumer ? c->consumer : "") != 0)
        return err_set(ERR_USAGE, "the folder %s was made as that of %s%s; HINT: choose another %s",
                       c->path, consumer[0] ? "the consumer " : "a run", consumer,
                       c->consumer ? "name for the consumer" : "stream.run_dir");
    return ERR_OK;
}

/* ERR_NOTFOUND: there is none. */
static int marker_check(const struct claim *c)
{
    char path[PATH_MAX], *text;
    size_t bytes;
    int result = marker_path(c, path);
    if (result == ERR_OK) result = own_read(path, MARKER_BYTES_MAX, &text, &bytes);
    if (result != ERR_OK) return result;
    result = marker_judge(c, text);
    free(text);
    return result;
}

int folder_owner_read(const char *folder, struct folder_owner *owner)
{
    char path[PATH_MAX], *text;
    size_t bytes;
    *owner = (struct folder_owner){.stream = ""};
    int result = own_folder(folder, 0);
    if (result != ERR_OK) return result;
    if (snprintf(path, sizeof path, "%s/" FOLDER_MARKER, folder) >= PATH_MAX)
        return err_set(ERR_LIMIT, "path too long: %.80s...", folder);
    result = own_read(path, MARKER_BYTES_MAX, &text, &bytes);
    if (result != ERR_OK) return result;
    line_of(text, "stream", owner->stream, sizeof owner->stream);
    line_of(text, "consumer", owner->consumer, sizeof owner->consumer);
    if (strncmp(text, "sluice-run ", 11) != 0 || !owner->stream[0])
        result = err_set(ERR_USAGE, "%s is not the marker of a run", path);
    else if (strncmp(text, first_line, sizeof first_line - 1) != 0)
        result = err_set(ERR_VERSION, "%s is of a newer version of Sluice", folder);
    free(text);
    return result;
}

/* Another process may be just as far. */
static int mark(const struct claim *c)
{
    int result = marker_write(c);
    return result == ERR_EXISTS ? marker_check(c) : result;
}

/* ---- folders without one ---- */

/* The first file in a folder or the folders in it, into out[PATH_MAX]; 0: there is none. Markers on
 * their way and what a file system keeps for itself don't count. Takes `fd`. */
static int holds_file(int fd, const char *path, int depth, char *out)
{
    DIR *dir = fdopendir(fd);
    int found = !dir || depth > DEPTH_MAX;
    if (found) snprintf(out, PATH_MAX, "%s", path);
    struct dirent *entry;
    while (!found && (entry = readdir(dir))) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lost+found") == 0 ||
            strncmp(name, FOLDER_MARKER ".tmp.", sizeof FOLDER_MARKER ".tmp." - 1) == 0)
            continue;
        char inner[PATH_MAX];
        const char *slash = path[1] ? "/" : ""; /* of "/" itself */
        if (snprintf(inner, sizeof inner, "%s%s%s", path, slash, name) >= (int)sizeof inner)
            inner[0] = 0;
        int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        found = below < 0 || holds_file(below, inner, depth + 1, out);
        if (below < 0) snprintf(out, PATH_MAX, "%s", inner);
    }
    if (dir)
        closedir(dir);
    else
        close(fd);
    return found;
}

static int refuse_foreign(const struct claim *c, const char *file)
{
    if (c->consumer)
        return err_set(ERR_USAGE,
                       "the folder %s holds files that no consumer's trainer made, such as %.200s; "
                       "HINT: choose another name in trainer.consumers, or another stream.run_dir",
                       c->path, file);
    return err_set(ERR_USAGE,
                   "the folder %s holds files that no run of this stream made, such as %.200s: "
                   "nothing in it was touched; HINT: choose another stream.run_dir, a new or an "
                   "empty folder",
                   c->path, file);
}

/* What a run of a version without markers left: `foreign` gets the first that is not its own. */
struct old {
    const struct config *config;
    char foreign[PATH_MAX];
};

static int look_for_foreign(void *arg, const struct made_entry *entry)
{
    struct old *old = arg;
    if (entry->kind != MADE_FOREIGN || strcmp(entry->path, "lost+found") == 0) return ERR_OK;
    if (strcmp(entry->path, old->config->capture.synthetic.truth_file) == 0) return ERR_OK;
    snprintf(old->foreign, sizeof old->foreign, "%.*s/%s", PATH_MAX / 2, old->config->run_dir,
             entry->path);
    return ERR_EXISTS;
}

static int is_of_stream(const struct config *config)
{
    char path[PATH_MAX], *text;
    size_t bytes;
    struct descriptor d;
    if (snprintf(path, sizeof path, "%s/descriptor.json", config->run_dir) >= (int)sizeof path ||
        own_read(path, MESSAGE_MAX_TEXT_BYTES, &text, &bytes) != ERR_OK)
        return 0;
    int is = descriptor_decode(text, bytes, &d) == ERR_OK;
    free(text);
    if (!is) return 0;
    is = strcmp(d.stream, config->stream.name) == 0;
    descriptor_free(&d);
    return is;
}

static int is_old_run(const struct claim *c, char *foreign)
{
    struct old old = {.config = c->config};
    if (c->consumer || !is_of_stream(c->config)) return 0;
    int result = made_walk(c->config, NULL, look_for_foreign, &old);
    if (old.foreign[0]) snprintf(foreign, PATH_MAX, "%s", old.foreign);
    return result == ERR_OK;
}

static int mark_consumer(void *arg, const struct made_entry *entry)
{
    struct claim c;
    if (entry->kind != MADE_FOLDER || strchr(entry->path, '/') || made_name_taken(entry->path))
        return ERR_OK;
    int result = claim_of(arg, entry->path, &c);
    return result == ERR_OK ? mark(&c) : result;
}

/* Consumers first: whoever is interrupted finds an old run again. */
static int take_over(const struct claim *c)
{
    struct config config = *c->config; /* for its name and place alone */
    int result = made_walk(&config, NULL, mark_consumer, &config);
    return result == ERR_OK ? mark(c) : result;
}

/* ---- claiming ---- */

static int cannot(const struct claim *c, const char *what)
{
    int is_full = errno == ENOSPC || errno == EDQUOT;
    return err_set(is_full ? ERR_NOSPC : ERR_IO, "cannot %s the folder %s: %s; HINT: %s", what,
                   c->path, strerror(errno),
                   is_full ? "make room on that disk, or set stream.run_dir to one with room"
                           : "set stream.run_dir to one that can be written");
}

/* Whose the files in the folder are: ERR_OK: marked; ERR_NOTFOUND: not there; ERR_AGAIN: to be
 * marked; ERR_STATE: left by an older version; else refused. */
static int judge_contents(const struct claim *c)
{
    char file[PATH_MAX] = "";
    struct stat st;
    if (stat(c->path, &st) != 0) {
        if (errno == ENOENT) return ERR_NOTFOUND;
        return cannot(c, "enter");
    }
    if (!S_ISDIR(st.st_mode))
        return err_set(ERR_USAGE, "%s is there and is not a folder; HINT: choose another %s",
                       c->path, c->consumer ? "name in trainer.consumers" : "stream.run_dir");
    int result = marker_check(c);
    if (result != ERR_NOTFOUND) return result;
    int fd = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return cannot(c, "read");
    if (!holds_file(fd, c->path, 0, file)) return ERR_AGAIN;
    if (marker_check(c) == ERR_OK) return ERR_OK; /* somebody has just marked it */
    return is_old_run(c, file) ? ERR_STATE : refuse_foreign(c, file);
}

/* The same, and that nobody else could have put there what lies in it. */
static int judge(const struct claim *c)
{
    int result = c->consumer ? ERR_OK : own_parents(c->path, NULL, 0);
    if (result == ERR_OK) result = own_folder(c->path, 1);
    if (result == ERR_OK) result = judge_contents(c);
    if (result != ERR_OK && result != ERR_AGAIN && result != ERR_STATE) return result;
    int ours = ours_check(c->config, c->consumer);
    return ours == ERR_OK ? result : ours;
}

static int claim(const struct config *config, const char *consumer)
{
    struct claim c;
    int result = claim_of(config, consumer, &c);
    if (result != ERR_OK) return result;
    result = judge(&c);
    if (result == ERR_NOTFOUND) {
        result = consumer ? own_make(c.path, 1) : dir_make(c.path, 0700);
        if (result != ERR_OK) return result;
        result = judge(&c);
    }
    if (result == ERR_AGAIN) return mark(&c);
    return result == ERR_STATE ? take_over(&c) : result;
}

int folder_claim(const struct config *config)
{
    return claim(config, NULL);
}

int folder_claim_consumer(const struct config *config, const char *consumer)
{
    return claim(config, consumer);
}

/* The nearest folder that is there, above one that is not. */
static int may_be_made(const struct claim *c)
{
    struct claim above = *c;
    struct stat st;
    while (stat(above.path, &st) != 0) {
        if (errno != ENOENT) return cannot(c, "make");
        char *slash = strrchr(above.path, '/');
        if (!slash) return ERR_OK;
        slash[slash == above.path] = '\0';
        if (above.path[0] == '/' && !above.path[1]) break;
    }
    if (access(above.path, W_OK | X_OK) != 0) return cannot(c, "make");
    return ERR_OK;
}

static int check_one(const struct config *config, const char *consumer)
{
    struct claim c;
    int result = claim_of(config, consumer, &c);
    if (result != ERR_OK) return result;
    result = judge(&c);
    if (result == ERR_NOTFOUND) return may_be_made(&c);
    if (result != ERR_OK && result != ERR_AGAIN && result != ERR_STATE) return result;
    return access(c.path, W_OK | X_OK) == 0 ? ERR_OK : cannot(&c, "write into");
}

int folder_check(const struct config *config)
{
    struct claim c;
    int result = claim_of(config, NULL, &c);
    if (result == ERR_OK) result = judge(&c);
    int old = result == ERR_STATE; /* its consumers' folders are taken over with it */
    result = check_one(config, NULL);
    for (uint32_t i = 0; i < config->trainer.consumers.count && result == ERR_OK && !old; i++)
        result = check_one(config, config->trainer.consumers.item[i]);
    return result;
}
