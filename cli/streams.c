#include "cli/streams.h"

#include "base/err.h"
#include "base/own.h"
#include "cli/lock.h"
#include "cli/report.h"
#include "cli/snapshot.h"
#include "proto/name.h"
#include "runtime/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_TEXT_BYTES = 16384, ADDRESS_BYTES = 64 };

static const char *const words[STREAMS_STATES] = {[STREAMS_RUNNING] = "running",
                                                  [STREAMS_SILENT] = "no answer",
                                                  [STREAMS_FINISHED] = "finished",
                                                  [STREAMS_STOPPED] = "stopped"};

const char *streams_word(enum streams_state state)
{
    return words[state];
}

void streams_page(const struct config *config, char page[STREAMS_PAGE_BYTES])
{
    char path[CONFIG_PATH_BYTES], *address;
    size_t bytes;
    page[0] = '\0';
    if (config_http_file(config, "broker", path) != ERR_OK ||
        own_read(path, ADDRESS_BYTES, &address, &bytes) != ERR_OK)
        return;
    address[strcspn(address, "\r\n")] = '\0';
    if (address[0] && !address[strspn(address, "0123456789abcdefABCDEF.:[]")])
        snprintf(page, STREAMS_PAGE_BYTES, "http://%s/", address);
    free(address);
}

/* The marker of DIR/NAME; ERR_OK: it is one, and of no foreign name. */
static int owner_of(const char *dir, const char *name, char path[CONFIG_PATH_BYTES],
                    struct folder_owner *owner)
{
    if (name[0] == '.' || !message_name_ok(name)) return ERR_NOTFOUND;
    if (snprintf(path, CONFIG_PATH_BYTES, "%s/%s", dir, name) >= CONFIG_PATH_BYTES)
        return ERR_LIMIT;
    return folder_owner_read(path, owner);
}

/* "a", "b": the consumers that have a folder in the run's. */
static void consumers_of(const char *run, const char *stream, char *out, size_t bytes)
{
    DIR *dir = opendir(run);
    struct dirent *entry;
    size_t used = 0;
    out[0] = '\0';
    while (dir && (entry = readdir(dir))) {
        struct folder_owner owner;
        char path[CONFIG_PATH_BYTES];
        if (owner_of(run, entry->d_name, path, &owner) != ERR_OK ||
            strcmp(owner.stream, stream) != 0 || strcmp(owner.consumer, entry->d_name) != 0)
            continue;
        int n = snprintf(out + used, bytes - used, "%s\"%s\"", used ? ", " : "", owner.consumer);
        if ((size_t)n >= bytes - used) {
            out[used] = '\0';
            break;
        }
        used += (size_t)n;
    }
    if (dir) closedir(dir);
}

static int config_of(const char *run, const char *stream, struct config **config)
{
    char consumers[CONFIG_TEXT_BYTES / 2], text[CONFIG_TEXT_BYTES];
    consumers_of(run, stream, consumers, sizeof consumers);
    int n = snprintf(text, sizeof text, "stream: { name: \"%s\" }\ntrainer: { consumers: [%s] }\n",
                     stream, consumers);
    return config_parse(text, (size_t)n, run, NULL, 0, config);
}

enum streams_state streams_unanswered(const struct config *config, long *pid)
{
    if (lock_held(config, pid)) return STREAMS_SILENT;
    return report_finished(config) ? STREAMS_FINISHED : STREAMS_STOPPED;
}

static void look(struct stream_found *s)
{
    s->state = streams_unanswered(s->config, &s->pid);
    if (snapshot_fetch(s->config, &s->status) == ERR_OK) s->state = STREAMS_RUNNING;
    if (s->state == STREAMS_RUNNING || s->state == STREAMS_SILENT) streams_page(s->config, s->page);
}

static int take(struct streams *s, const char *name)
{
    struct folder_owner owner;
    struct stream_found found = {.pid = 0};
    char path[CONFIG_PATH_BYTES];
    if (owner_of(s->folder, name, path, &owner) != ERR_OK || owner.consumer[0] ||
        strcmp(owner.stream, name) != 0)
        return ERR_OK;
    if (s->count == STREAMS_MAX) {
        s->left_out++;
        return ERR_OK;
    }
    int result = config_of(path, name, &found.config);
    if (result != ERR_OK) return result == ERR_NOMEM ? result : ERR_OK;
    look(&found);
    s->found[s->count++] = found;
    return ERR_OK;
}

static int compare(const void *left, const void *right)
{
    const struct stream_found *a = left, *b = right;
    return strverscmp(a->config->stream.name, b->config->stream.name);
}

int streams_find(struct streams *s)
{
    s->count = s->left_out = 0;
    int result = config_state_dir(s->folder);
    if (result != ERR_OK) return result;
    DIR *dir = opendir(s->folder);
    struct dirent *entry;
    if (!dir && (errno == ENOENT || errno == ENOTDIR)) return ERR_OK;
    if (!dir) return err_set(ERR_IO, "cannot read the folder %s: %s", s->folder, strerror(errno));
    while (result == ERR_OK && (entry = readdir(dir))) result = take(s, entry->d_name);
    closedir(dir);
    qsort(s->found, (size_t)s->count, sizeof *s->found, compare);
    return result;
}

void streams_free(struct streams *s)
{
    for (int i = 0; i < s->count; i++) {
        config_free(s->found[i].config);
        json_decref(s->found[i].status);
    }
    s->count = 0;
}
