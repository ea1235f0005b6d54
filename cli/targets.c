#include "cli/targets.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "config/address.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ADDRESS_BYTES = 64, FILE_BYTES = 1 << 20 };

static const char job[] = "sluice", ending[] = ".json", nobody[] = "[]\n";

/* ---- the list ---- */

/* Where it listens, as it has written itself; nowhere while it does not. */
static void address_of(const struct config *config, const struct child *child,
                       char out[ADDRESS_BYTES])
{
    char path[CONFIG_PATH_BYTES], *text = NULL;
    size_t bytes;
    snprintf(out, ADDRESS_BYTES, TARGETS_NOWHERE);
    if (child->phase != CHILD_RUNNING) return;
    if (config_http_file(config, child->name, path) != ERR_OK) return;
    if (own_read(path, ADDRESS_BYTES - 1, &text, &bytes) != ERR_OK) return;
    text[strcspn(text, "\n")] = '\0';
    if (strchr(text, ':') && address_http_check(text) == ERR_OK)
        snprintf(out, ADDRESS_BYTES, "%s", text);
    free(text);
}

static json_t *group_of(const struct config *config, const struct child *child)
{
    char address[ADDRESS_BYTES];
    const char *stream = config->stream.name;
    address_of(config, child, address);
    return json_pack("{s:[s], s:{s:s, s:s, s:s, s:s, s:s++}}", "targets", address, "labels", "job",
                     job, "stream", stream, "process", child->name, "kind",
                     processes_section(child->role), "instance", stream, "/", child->name);
}

static int is_listed(const struct config *config, const struct child *child)
{
    return child->phase != CHILD_DONE &&
           strcmp(config_http(config, processes_section(child->role)), "off") != 0;
}

/* As the file shall be; malloc'ed. NULL: no memory. */
static char *text_of(const struct config *config, const struct children *children)
{
    json_t *list = json_array();
    char *text = NULL;
    int failed = !list;
    for (size_t i = 0; i < children->count && !failed; i++) {
        const struct child *child = &children->child[i];
        if (is_listed(config, child)) failed = json_array_append_new(list, group_of(config, child));
    }
    if (!failed) text = json_dumps(list, JSON_INDENT(1));
    json_decref(list);
    return text;
}

/* ---- the file ---- */

static int is_of_stream(const json_t *group, const char *stream)
{
    const char *its_job = NULL, *its_stream = NULL;
    json_t *targets;
    return json_unpack((json_t *)group, "{s:o, s:{s:s, s:s}}", "targets", &targets, "labels", "job",
                       &its_job, "stream", &its_stream) == 0 &&
           json_is_array(targets) && strcmp(its_job, job) == 0 && strcmp(its_stream, stream) == 0;
}

/* Whatever is replaced was such a file of this stream, or nothing. */
static int judge(const char *path, const char *stream)
{
    size_t length = strlen(path), end = sizeof ending - 1, bytes, i;
    char *text;
    json_t *group;
    if (length <= end || strcmp(path + length - end, ending) != 0)
        return err_set(ERR_USAGE,
                       "--prometheus %s: Prometheus reads no targets from a file of such a name; "
                       "HINT: let it end in %s",
                       path, ending);
    int result = file_read(path, FILE_BYTES, &text, &bytes);
    if (result == ERR_NOTFOUND) return ERR_OK;
    if (result == ERR_IO || result == ERR_NOMEM) return result;
    json_t *list = result == ERR_OK ? json_loadb(text, bytes, 0, NULL) : NULL;
    if (result == ERR_OK) free(text);
    int is_ours = json_is_array(list);
    json_array_foreach(list, i, group) is_ours = is_ours && is_of_stream(group, stream);
    json_decref(list);
    if (is_ours) return ERR_OK;
    return err_set(
        ERR_USAGE,
        "--prometheus %s: the file is there and holds something else than the targets of "
        "stream %s; HINT: name a file of its own for each stream, or remove this one",
        path, stream);
}

/* Takes `text`. */
static int replace(struct targets *t, char *text)
{
    if (!text) return err_set(ERR_NOMEM, "no memory for the targets of Prometheus");
    int result = file_publish(t->path, text, strlen(text));
    free(t->written);
    t->written = result == ERR_OK ? text : NULL;
    if (result != ERR_OK) free(text);
    return result;
}

int targets_open(struct targets *t, const char *path, const struct config *config,
                 const struct children *children)
{
    *t = (struct targets){.path = path, .config = config};
    if (!path) return ERR_OK;
    int result = judge(path, config->stream.name);
    if (result == ERR_OK) result = replace(t, text_of(config, children));
    if (result != ERR_OK) t->path = NULL;
    return result;
}

void targets_look(struct targets *t, const struct children *children)
{
    if (!t->path) return;
    char *text = text_of(t->config, children);
    if (text && t->written && strcmp(text, t->written) == 0) {
        free(text);
        return;
    }
    int result = replace(t, text);
    if (result != ERR_OK && !t->is_failing)
        fprintf(stderr, "sluice: WARNING: Prometheus does not learn of today's ports: %s\n",
                err_text());
    t->is_failing = result != ERR_OK;
}

void targets_close(struct targets *t, int is_over)
{
    if (t->path && is_over && file_publish(t->path, nobody, strlen(nobody)) != ERR_OK)
        fprintf(stderr, "sluice: WARNING: Prometheus does not learn of the end: %s\n", err_text());
    free(t->written);
    *t = (struct targets){0};
}

int targets_clear(const char *path, const struct config *config)
{
    if (!path) return ERR_OK;
    int result = judge(path, config->stream.name);
    return result == ERR_OK ? file_publish(path, nobody, strlen(nobody)) : result;
}
