#include "cli/inspect_buffer.h"

#include "base/err.h"
#include "base/own.h"
#include "config/config.h"
#include "inspect/index_age.h"

#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { TEXT_CONTEXT = 16, LEVELS = 3 }; /* a checkpoint in a consumer's folder in the run's */

static int is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The run's folder, or one above what was named. */
static int find_above(const char *file, char *out)
{
    char path[CONFIG_PATH_BYTES];
    snprintf(path, sizeof path, "%s", file);
    char *at = path;
    for (int level = 0; level < LEVELS; level++, at = dirname(at)) {
        int n = snprintf(out, CONFIG_PATH_BYTES, "%s/buffer", at);
        if (n < CONFIG_PATH_BYTES && is_folder(out)) return ERR_OK;
    }
    return err_set(ERR_USAGE,
                   "%s is of no run that has a buffer; HINT: name the run's folder or its "
                   "configuration, or leave --from-buffer away",
                   file);
}

static int find(const struct options *o, char *out)
{
    size_t length = strlen(o->file);
    struct config *config;
    if (length <= 5 || strcmp(o->file + length - 5, ".yaml") != 0) return find_above(o->file, out);
    int result = config_load(o->file, o->sets, o->sets_count, &config);
    if (result != ERR_OK) return result == ERR_NOTFOUND ? ERR_USAGE : result;
    result = config_buffer_dir(config, out);
    config_free(config);
    return result;
}

int inspect_buffer_open(const struct options *options, struct subject *subject,
                        struct inspect_buffer *buffer)
{
    char dir[CONFIG_PATH_BYTES];
    int result = find(options, dir);
    *buffer = (struct inspect_buffer){0};
    snprintf(buffer->run_dir, sizeof buffer->run_dir, "%.*s",
             result == ERR_OK ? (int)(strlen(dir) - strlen("/buffer")) : 0, dir);
    if (result == ERR_OK) result = buffered_open(dir, subject, &buffer->rows);
    if (result == ERR_NOTFOUND)
        return err_set(ERR_USAGE,
                       "%s; HINT: `sluice up` makes it, and keeps rows in it while it runs",
                       err_text());
    return result;
}

void inspect_buffer_close(struct inspect_buffer *b)
{
    buffered_close(b->rows);
    if (b->runner) llama_runner_close(b->runner);
    *b = (struct inspect_buffer){0};
}

/* ---- rows that go by age ---- */

static int is_in_run(const struct inspect_buffer *b, const char *folder, const char *indexes)
{
    char above[CONFIG_PATH_BYTES];
    struct stat wanted, is;
    snprintf(above, sizeof above, "%s", folder);
    if (own_make(indexes, 0) == ERR_OK && stat(indexes, &wanted) == 0 &&
        stat(dirname(above), &is) == 0 && is.st_dev == wanted.st_dev && is.st_ino == wanted.st_ino)
        return ERR_OK;
    return err_set(
        ERR_USAGE,
        "the rows of this stream go by age (sink.retention), and an index of them too: it "
        "has to lie where the sink removes it; HINT: name it %s/index/NAME",
        b->run_dir);
}

int inspect_buffer_mark(const struct inspect_buffer *b, const char *folder,
                        uint64_t *captured_from_ns)
{
    char indexes[CONFIG_PATH_BYTES + 8];
    uint64_t age = buffered_retention_seconds(b->rows), from = 0;
    *captured_from_ns = 0;
    if (age == 0) return ERR_OK;
    snprintf(indexes, sizeof indexes, "%s/index", b->run_dir);
    int result = is_in_run(b, folder, indexes);
    if (result == ERR_OK) result = index_age_mark(folder, (uint64_t)time(NULL), age, &from);
    *captured_from_ns = from * UINT64_C(1000000000);
    return result;
}

int inspect_buffer_has_texts(const struct inspect_buffer *b)
{
    const char *engine = buffered_stream(b->rows)->engine;
    return strcmp(engine, "llama") == 0 || strcmp(engine, "ring") == 0;
}

/* ---- texts ---- */

static size_t text_of(const void *runner, int32_t token, char *out, size_t bytes)
{
    return llama_runner_text(runner, token, out, bytes);
}

static int open_runner(const struct options *options, const struct subject *subject,
                       struct inspect_buffer *b)
{
    char model[SUBJECT_PATH_BYTES];
    const char *hook = "resid_post.0";
    struct llama_runner_options runner = {
        .path = model, .context_tokens = TEXT_CONTEXT, .threads = 1, .plain_weights = 1};
    int result = subject_source(options, subject, model);
    if (result == ERR_OK) result = llama_hooks_parse(&hook, 1, &b->hooks);
    return result == ERR_OK ? llama_runner_open(&runner, &b->hooks, &b->runner) : result;
}

int inspect_buffer_texts(const struct options *options, const struct subject *subject,
                         const struct own_lens *lens, struct inspect_buffer *b, struct texts *texts)
{
    int result = lens->player ? ERR_OK : open_runner(options, subject, b);
    if (result != ERR_OK) return result;
    const struct llama_runner *runner =
        lens->player ? llama_player_runner(lens->player) : b->runner;
    *texts = (struct texts){llama_runner_tokens(runner), text_of, runner};
    return ERR_OK;
}

/* ---- what came of it ---- */

void inspect_buffer_tell(const struct inspect_buffer *b)
{
    const struct survey_read *r = &b->read;
    if (r->begun_again)
        fprintf(stderr, "sluice: an earlier reading of the buffer was cut short, so it was read "
                        "again from its beginning\n");
    if (r->counts.slabs == 0) return;
    fprintf(stderr, "sluice: %" PRIu64 " rows out of %" PRIu64 " slabs of the buffer",
            r->counts.rows, r->counts.slabs);
    if (r->counts.missed_slabs)
        fprintf(stderr, "; %" PRIu64 " slabs were freed before they could be read",
                r->counts.missed_slabs);
    if (r->counts.old_slabs)
        fprintf(stderr, "; %" PRIu64 " were passed over, as their rows go soon (sink.retention)",
                r->counts.old_slabs);
    if (r->again) fprintf(stderr, "; %" PRIu64 " rows were there twice", r->again);
    fputc('\n', stderr);
    if (r->counts.waited_in_vain)
        fprintf(stderr, "sluice: no more rows came for %d seconds, so it ended early\n",
                INSPECT_WAIT_SECONDS);
}
