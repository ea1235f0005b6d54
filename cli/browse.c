/* `sluice browse`: a feature index in a web browser. */
#include "browse/page.h"
#include "browse/server.h"
#include "browse/single.h"

#include "base/err.h"
#include "cli/commands.h"
#include "cli/subject.h"
#include "inspect/firing.h"
#include "runtime/loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TOKENS = 512, TOKEN_FEATURES = 20 };

static const char no_sae[] =
    "No SAE was named, so no text can be run: sluice browse INDEX SAE, where SAE is the run, "
    "checkpoint or folder that the index is of.";

/* ---- a text ---- */

struct reader { /* the SAE; and its model, opened when the first text comes */
    struct options options;
    const struct index *index;
    int is_open;
    struct subject subject;
    struct llama_hooks hooks;
    struct llama_player *player;
};

static int open_subject(struct reader *r)
{
    int result = subject_open(&r->options, &r->subject);
    if (result != ERR_OK) return result;
    r->is_open = r->subject.fingerprint == r->index->facts.fingerprint;
    if (r->is_open) return ERR_OK;
    result = err_set(ERR_MISMATCH,
                     "%s is not the SAE of this index: its weights are others; HINT: name the SAE "
                     "that was inspected, or inspect this one",
                     r->options.file);
    subject_close(&r->subject);
    return result;
}

static int open_player(struct reader *r)
{
    char model[SUBJECT_PATH_BYTES];
    struct llama_runner_options options = {.path = model};
    struct llama_facts facts;
    int result = subject_threads(&r->options, &options.threads);
    if (result == ERR_OK) result = subject_model(&r->options, &r->subject, model);
    if (result == ERR_OK) result = firing_hooks(&r->subject, &r->hooks);
    if (result == ERR_OK) result = subject_try(&options, &r->hooks, MOST_TOKENS, &facts);
    return result == ERR_OK ? llama_player_open(&options, &r->hooks, &r->player) : result;
}

static void close_reader(struct reader *r)
{
    llama_player_close(r->player);
    if (r->is_open) subject_close(&r->subject);
}

static json_t *token_json(const struct firing *f, uint32_t row)
{
    struct firing_at top[TOKEN_FEATURES];
    uint32_t n = firing_strongest(f, row, TOKEN_FEATURES, top);
    json_t *features = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(
            features, json_pack("[I, f]", (json_int_t)top[i].feature, (double)top[i].value));
    return json_pack("{s:i, s:b, s:o}", "token", (int)f->tokens[row], "left_out",
                     (int)f->left_out[row], "features", features);
}

static int run_text(struct reader *r, const char *text, json_t **answer)
{
    struct firing f;
    int result = r->player ? ERR_OK : open_player(r);
    if (result == ERR_OK)
        result = firing_make(&r->subject, r->player, &r->hooks, text, MOST_TOKENS, &f);
    if (result != ERR_OK) return result;
    json_t *tokens = json_array();
    for (uint32_t row = 0; row < f.count; row++) json_array_append_new(tokens, token_json(&f, row));
    firing_free(&f);
    *answer = json_pack("{s:o}", "tokens", tokens);
    return *answer ? ERR_OK : err_set(ERR_NOMEM, "no memory for an answer");
}

/* A large model takes minutes: Ctrl-C waits for none of them. */
static int read_text(void *arg, const char *text, json_t **answer)
{
    struct loop_signals signals;
    loop_begin_long(&signals);
    int result = run_text(arg, text, answer);
    loop_end_long(&signals);
    return result;
}

/* ---- serving ---- */

static int serve(const struct options *options, const struct index *index)
{
    struct reader reader = {.options = *options, .index = index};
    const char *address = options_get(options, "address");
    int has_sae = options->arguments_count > 0;
    struct server_options how = {.address = address ? address : "127.0.0.1:0",
                                 .index = index,
                                 .read_text = has_sae ? read_text : NULL,
                                 .arg = &reader,
                                 .cannot_read = no_sae};
    struct server *server;
    struct uv_loop_s *loop;
    if (has_sae) reader.options.file = options->arguments[0];
    int result = has_sae ? open_subject(&reader) : ERR_OK;
    if (result == ERR_OK) result = loop_open(&loop);
    if (result != ERR_OK) {
        close_reader(&reader);
        return result;
    }
    result = server_open(loop, &how, &server);
    if (result == ERR_OK) {
        printf("%s\n", server_address(server));
        fflush(stdout);
        if (has_sae)
            fprintf(stderr, "The first text that is pasted opens the model. Ctrl-C ends this.\n");
        else
            fprintf(stderr, "%s Ctrl-C ends this.\n", no_sae);
        loop_run(loop);
        server_close(server);
    }
    loop_close(loop);
    close_reader(&reader);
    return result;
}

/* ---- a single file ---- */

static int read_list(const char *text, uint32_t *out, size_t *count)
{
    for (*count = 0; *text;) {
        char *end;
        unsigned long long n = strtoull(text, &end, 10);
        if (*text < '0' || *text > '9' || (*end && *end != ',') || n > UINT32_MAX)
            return err_set(ERR_USAGE, "--features %.40s is no list of numbers, such as 12,345",
                           text);
        if (*count == SINGLE_MOST_FEATURES)
            return err_set(ERR_USAGE, "a single file has %d features at most",
                           SINGLE_MOST_FEATURES);
        out[(*count)++] = (uint32_t)n;
        text = *end ? end + 1 : end;
    }
    return *count ? ERR_OK : err_set(ERR_USAGE, "--features names none");
}

static int write_single(const struct options *options, const struct index *index, const char *path)
{
    static uint32_t feature[SINGLE_MOST_FEATURES];
    const char *list = options_get(options, "features");
    struct labels labels;
    size_t count;
    if (!list)
        return err_set(ERR_USAGE, "--single-file holds some features; HINT: --features 12,345");
    int result = read_list(list, feature, &count);
    if (result == ERR_OK) result = labels_read(index->folder, index->facts.features, &labels);
    if (result != ERR_OK) return result;
    result = single_write(index, &labels, feature, count, path);
    labels_free(&labels);
    if (result == ERR_OK) printf("%s\n", path);
    return result;
}

int browse_command(const struct options *options, const struct config *config)
{
    const char *single = options_get(options, "single-file");
    struct index index;
    (void)config;
    if (options_get(options, "features") && !single)
        return err_set(ERR_USAGE, "--features goes with --single-file");
    int result = index_open(options->file, &index);
    if (result != ERR_OK) return result;
    result = single ? write_single(options, &index, single) : serve(options, &index);
    index_close(&index);
    return result;
}
