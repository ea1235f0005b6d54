#include "tap/answer.h"

#include "base/err.h"
#include "proto/lines.h"
#include "proto/tap_words.h"
#include "tap/settings.h"
#include "tap/tap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what is told ---- */

static void put_count(struct lines_out *out, const char *key, uint64_t count)
{
    lines_printf(out, key, "%llu", (unsigned long long)count);
}

/* Numbers with a point, whatever the program's locale. */
static void put_real(struct lines_out *out, const char *key, double x)
{
    char text[64];
    snprintf(text, sizeof text, "%.9g", x);
    for (char *c = text; *c; c++)
        if (*c == ',') *c = '.';
    lines_put(out, key, text);
}

static void put_hooks(struct lines_out *out, const struct tap_settings *s)
{
    char text[ROW_MAX_HOOKS * sizeof s->hooks[0]];
    size_t bytes = 0;
    text[0] = '\0';
    for (uint32_t h = 0; h < s->hooks_count; h++)
        bytes +=
            (size_t)snprintf(text + bytes, sizeof text - bytes, "%s%s", h ? "," : "", s->hooks[h]);
    lines_put(out, TAP_HOOKS, text);
}

static void put_settings(struct lines_out *out, const struct tap_settings *s)
{
    lines_put(out, TAP_ON, s->on ? "yes" : "no");
    lines_put(out, TAP_STREAM, s->stream);
    put_hooks(out, s);
    put_real(out, TAP_SHARE, s->share);
    put_real(out, TAP_ROWS_PER_SECOND, s->rows_per_second);
    put_count(out, TAP_BYTES_PER_SECOND, s->bytes_per_second);
    lines_put(out, TAP_FOLDER, s->folder);
    put_count(out, TAP_RING_BYTES, s->ring_bytes);
    lines_put(out, TAP_DTYPE, s->is_f32 ? "f32" : "bf16");
    lines_put(out, TAP_EXCLUDE, s->exclude);
}

static void put_counters(struct lines_out *out, const struct sluice_counters *c)
{
    put_count(out, "offered_rows", c->offered_rows);
    put_count(out, "captured_rows", c->written_rows);
    put_count(out, "shed_rows", c->shed_rows);
    put_count(out, "limited_rows", c->limited_rows);
    put_count(out, "abandoned_rows", c->abandoned_rows);
    put_count(out, "ambiguous_rows", c->ambiguous_rows);
    put_count(out, "reused_rows", c->reused_rows);
    put_count(out, "no_token_rows", c->no_token_rows);
    put_count(out, "steered_rows", c->steered_rows);
    put_count(out, "excluded_rows", c->excluded_rows);
    put_count(out, "sequences", c->sequences);
    put_count(out, "sequences_not_taken", c->sequences_not_taken);
    put_count(out, "read_rows", c->read_rows);
    put_count(out, "reader_seen_ns", c->reader_seen_ns);
    lines_put(out, "reader_refuses", c->is_refused ? c->reason : "");
}

static void put_steering(struct lines_out *out, const struct tap_status *s)
{
    lines_put(out, "steers", s->steers);
    lines_put(out, "steers_by", s->steers_by);
    lines_put(out, "steers_at", s->steers_at);
    lines_put(out, "keeps_steered", s->keeps_steered ? "yes" : "no");
    put_count(out, "steered_tokens", s->steered_rows);
    put_count(out, "unsteered_passes", s->unsteered_passes);
    put_count(out, "stale_tokens", s->stale_tokens);
    lines_put(out, "steering_refusal", s->steering_refusal);
}

static void put_status(struct lines_out *out, uint64_t refused)
{
    struct tap_status status;
    struct tap_settings settings;
    memset(&status, 0, sizeof status);
    tap_status(&status);
    tap_settings_now(&settings);
    put_count(out, "pid", (uint64_t)getpid());
    lines_put(out, "program", program_invocation_short_name);
    put_settings(out, &settings);
    lines_put(out, "model_file", status.model_file);
    lines_put(out, "is_tapping", status.is_tapping ? "yes" : "no");
    lines_put(out, "refusal", status.refusal);
    put_count(out, "contexts", status.contexts);
    put_count(out, "other_contexts", status.others);
    put_count(out, "passes", status.passes);
    put_count(out, "failed_passes", status.failed_passes);
    put_count(out, "mismatched_passes", status.mismatched_passes);
    put_count(out, "learning_rows", status.learning_rows);
    put_count(out, "adapted_rows", status.adapted_rows);
    put_steering(out, &status);
    put_counters(out, &status.counters);
    put_count(out, "refused_requests", refused);
}

/* ---- what is done ---- */

static int is_of_the_request(const char *key)
{
    return strcmp(key, TAP_HELLO) == 0 || strcmp(key, TAP_DO) == 0;
}

static int is_of_steering(const char *key)
{
    return strcmp(key, TAP_STEER) == 0 || strcmp(key, TAP_KEEP_STEERED) == 0;
}

/* *any: whether some are to change. */
static int take_settings(const struct lines *request, struct tap_settings *settings, int *any)
{
    *any = 0;
    tap_settings_now(settings);
    for (unsigned i = 0; i < request->count; i++) {
        const char *key = request->line[i].key;
        if (is_of_the_request(key) || is_of_steering(key)) continue;
        if (settings_take(settings, key, request->line[i].value) != ERR_OK) return ERR_USAGE;
        *any = 1;
    }
    return *any ? settings_check(settings) : ERR_OK;
}

/* All of it, or nothing. */
static int do_set(const struct lines *request)
{
    const char *keep = lines_get(request, TAP_KEEP_STEERED);
    struct tap_change change = {.steer = lines_get(request, TAP_STEER),
                                .keeps_steered = keep && strcmp(keep, "yes") == 0};
    struct tap_settings settings;
    char why[512] = "";
    int any;
    if (keep && !change.steer) return err_set(ERR_USAGE, "keep_steered goes with steer");
    if (take_settings(request, &settings, &any) != ERR_OK) return ERR_USAGE;
    if (any) change.settings = &settings;
    int result = tap_set(&change, why, sizeof why);
    return result == ERR_OK ? ERR_OK : err_set(result, "%s", why);
}

static int obey(const struct lines *request)
{
    char *end;
    const char *hello = lines_get(request, TAP_HELLO), *what = lines_get(request, TAP_DO);
    if (!hello || request->line[0].value != hello)
        return err_set(ERR_FORMAT, "the first line is not " TAP_HELLO);
    if (strtol(hello, &end, 10) != TAP_PROTOCOL || *end)
        return err_set(ERR_VERSION, "protocol %.20s is asked for, and this tap speaks %d", hello,
                       TAP_PROTOCOL);
    if (what && strcmp(what, TAP_SET) == 0) return do_set(request);
    if (what && strcmp(what, TAP_STATUS) == 0) return ERR_OK;
    return err_set(ERR_USAGE, "this tap does no '%.40s'", what ? what : "");
}

static size_t refuse(char *out)
{
    struct lines_out answer = {.text = out, .room = TAP_ANSWER_BYTES};
    lines_printf(&answer, TAP_HELLO, "%d", TAP_PROTOCOL);
    lines_put(&answer, TAP_RESULT, TAP_REFUSED);
    lines_put(&answer, TAP_WHY, err_text());
    lines_end(&answer); /* an error's text has room */
    return answer.bytes;
}

size_t answer_request(char *request, size_t bytes, uint64_t refused, char *out)
{
    struct lines lines;
    struct lines_out answer = {.text = out, .room = TAP_ANSWER_BYTES};
    int result = lines_read(request, bytes, &lines);
    if (result == ERR_OK) result = obey(&lines);
    if (result != ERR_OK) return refuse(out);
    lines_printf(&answer, TAP_HELLO, "%d", TAP_PROTOCOL);
    lines_put(&answer, TAP_RESULT, TAP_OK);
    put_status(&answer, refused);
    return lines_end(&answer) == ERR_OK ? answer.bytes : refuse(out);
}
