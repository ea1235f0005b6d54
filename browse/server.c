#include "browse/server.h"

#include "base/err.h"
#include "base/own.h"
#include "browse/door.h"
#include "browse/page.h"
#include "inspect/labels.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char policy[] = "default-src 'none'; style-src 'self'; script-src 'self'; "
                             "connect-src 'self'; img-src data:; base-uri 'none'; "
                             "form-action 'none'; frame-ancestors 'none'";

/* The index's files that a page reads, and nothing else of its folder. */
static const struct {
    const char *path, *type;
    int may_be_missing;
} data_files[] = {
    {"/index.json", "application/json", 0},
    {"/features.table", "application/octet-stream", 0},
    {"/features.data", "application/octet-stream", 0},
    {"/tokens.table", "application/octet-stream", 1},
    {"/labels.tsv", "text/plain; charset=utf-8", 1},
};
enum {
    DATA_FILES = sizeof data_files / sizeof *data_files,
    HANDLERS = 1 + PAGE_FILES + DATA_FILES + 3,
    MOST_LABEL_BODY = 8 * LABELS_MOST_BYTES, /* as JSON each byte may be six */
};

struct server {
    struct server_options options;
    struct door door;
    struct http *http;
    struct http_handler handlers[HANDLERS];
    size_t count;
    char path[1 + PAGE_FILES][32];
    char address[160];
};

/* ---- files ---- */

static int get_page(void *arg, struct http_reply *reply)
{
    const struct page_file *file = arg;
    reply->content_type = file->type;
    reply->policy = policy;
    reply->body = malloc(file->bytes);
    if (!reply->body) return err_set(ERR_NOMEM, "no memory for a page");
    memcpy(reply->body, file->text, file->bytes);
    reply->bytes = file->bytes;
    return ERR_OK;
}

static int get_file(void *arg, const struct http_request *request, struct http_reply *reply)
{
    const struct server *s = arg;
    char path[INDEX_PATH_BYTES + 32];
    struct stat st;
    int i = 0, fd;
    while (strcmp(data_files[i].path, request->path) != 0) i++;
    reply->content_type = data_files[i].type;
    snprintf(path, sizeof path, "%s%s", s->options.index->folder, data_files[i].path);
    int result = own_open(path, O_RDONLY, &fd);
    if (result == ERR_NOTFOUND && !data_files[i].may_be_missing)
        return err_set(ERR_IO, "%s is missing; HINT: copy it again, or inspect again", path);
    if (result == ERR_NOTFOUND) {
        reply->body = strdup("");
        return reply->body ? ERR_OK : err_set(ERR_NOMEM, "no memory");
    }
    if (result != ERR_OK) return result;
    if (fstat(fd, &st) != 0) {
        close(fd);
        return err_set(ERR_IO, "cannot read %s", path);
    }
    reply->file = fd;
    reply->file_bytes = (uint64_t)st.st_size;
    return ERR_OK;
}

/* ---- what a program can do ---- */

static int put_json(json_t *object, struct http_reply *reply)
{
    reply->body = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
    json_decref(object);
    if (!reply->body) return err_set(ERR_NOMEM, "no memory for an answer");
    reply->bytes = strlen(reply->body);
    return ERR_OK;
}

static int get_can(void *arg, struct http_reply *reply)
{
    const struct server *s = arg;
    return put_json(json_pack("{s:b, s:s?}", "label", 1, "text",
                              s->options.read_text ? NULL : s->options.cannot_read),
                    reply);
}

static int post_label(void *arg, const struct http_request *request, struct http_reply *reply)
{
    const struct server *s = arg;
    const struct index *index = s->options.index;
    json_error_t error;
    json_t *o = json_loadb(request->body, request->bytes, JSON_REJECT_DUPLICATES, &error);
    const json_t *feature = json_object_get(o, "feature");
    const char *text = json_string_value(json_object_get(o, "text"));
    json_int_t f = json_integer_value(feature);
    int result;
    if (!text || !json_is_integer(feature))
        result = err_set(ERR_USAGE, "a label is {\"feature\": NUMBER, \"text\": TEXT}");
    else if (f < 0 || f >= (json_int_t)index->facts.features)
        result = err_set(ERR_USAGE, "there is no feature %lld", (long long)f);
    else
        result = labels_set(index->folder, index->facts.features, (uint32_t)f, text);
    json_decref(o);
    return result == ERR_OK ? put_json(json_object(), reply) : result;
}

static int post_text(void *arg, const struct http_request *request, struct http_reply *reply)
{
    const struct server *s = arg;
    json_t *answer;
    if (!s->options.read_text) return err_set(ERR_USAGE, "%s", s->options.cannot_read);
    if (strlen(request->body) != request->bytes)
        return err_set(ERR_USAGE, "a text has no NUL in it");
    int result = s->options.read_text(s->options.arg, request->body, &answer);
    return result == ERR_OK ? put_json(answer, reply) : result;
}

/* ---- opening ---- */

static void add(struct server *s, struct http_handler handler)
{
    s->handlers[s->count++] = handler;
}

static void add_all(struct server *s)
{
    const struct page_file *files = page_files();
    for (int i = 0; i < PAGE_FILES; i++) {
        snprintf(s->path[i], sizeof s->path[i], "/%s", files[i].name);
        add(s, (struct http_handler){
                   .path = s->path[i], .get = get_page, .arg = (void *)(uintptr_t)&files[i]});
    }
    add(s,
        (struct http_handler){.path = "/", .get = get_page, .arg = (void *)(uintptr_t)&files[0]});
    for (int i = 0; i < DATA_FILES; i++)
        add(s, (struct http_handler){.path = data_files[i].path, .ask = get_file, .arg = s});
    add(s, (struct http_handler){.path = "/api/can", .get = get_can, .arg = s});
    add(s,
        (struct http_handler){
            .path = "/api/label", .ask = post_label, .arg = s, .most_body_bytes = MOST_LABEL_BODY});
    add(s, (struct http_handler){.path = "/api/text",
                                 .ask = post_text,
                                 .arg = s,
                                 .most_body_bytes = SERVER_MOST_TEXT_BYTES});
}

int server_open(struct uv_loop_s *loop, const struct server_options *options, struct server **out)
{
    struct server *s = calloc(1, sizeof *s);
    if (!s) return err_set(ERR_NOMEM, "no memory for a server");
    s->options = *options;
    add_all(s);
    struct http_options http = {.address = options->address,
                                .may_pass = door_may_pass,
                                .may_pass_arg = &s->door,
                                .request_seconds = 60,
                                .handlers = s->handlers,
                                .handlers_count = s->count};
    int result = http_open(loop, &http, &s->http);
    if (result == ERR_OK) result = door_open(&s->door, http_address(s->http));
    if (result != ERR_OK) {
        server_close(s);
        return result;
    }
    snprintf(s->address, sizeof s->address, "http://%s/?token=%s", http_address(s->http),
             s->door.token);
    *out = s;
    return ERR_OK;
}

const char *server_address(const struct server *server)
{
    return server->address;
}

void server_close(struct server *server)
{
    if (!server) return;
    http_close(server->http);
    free(server);
}
