#include "broker/status.h"

#include "base/err.h"
#include "broker/errors.h"
#include "broker/movement.h"
#include "broker/trend.h"
#include "proto/message.h"
#include "proto/report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t silent_ns = UINT64_C(1000000000) * REPORT_SILENT_SECONDS;
static const uint64_t gone_ns =
    UINT64_C(600000000000);              /* is no longer shown, unless it was through */
static const double waiting_share = 0.1; /* of the time: a producer that waits for room */
static const double full_share = 0.1;    /* of the slabs free: a buffer that is full */
static const double least_seconds = 0.5; /* that rates are of */

enum {
    FRAME_BYTES = 256,       /* of a process in the document, beside its report and rates */
    SUMMARY_BYTES = 64 << 10 /* of the rest: overview, advice, errors, restarts */
};

struct reporter {
    char name[MESSAGE_NAME_BYTES]; /* "": free */
    struct link_route from;        /* of no bytes: this process */
    char *report, *rates;          /* JSON; rates: NULL at its first */
    uint64_t reported_ns;
    char *base; /* the report that growth is counted from; NULL: the last one */
    uint64_t base_ns;
    struct overview part;
    struct overview_past past;
    int has_ended;  /* a sink: its stream */
    int is_through; /* with its work */
    struct movement movement;
};

struct status {
    struct status_options options;
    char stream[MESSAGE_NAME_BYTES];
    struct errors errors;
    struct trend slabs; /* in the buffer */
    uint64_t moved_ns;  /* when anybody last moved a row */
    struct reporter reporter[STATUS_MAX_PROCESSES];
};

int status_new(const struct status_options *options, struct status **status)
{
    struct status *s = calloc(1, sizeof *s);
    if (!s) return err_set(ERR_NOMEM, "no memory for the status of processes");
    s->options = *options;
    strncpy(s->stream, options->stream, sizeof s->stream - 1);
    *status = s;
    return ERR_OK;
}

static void forget(struct reporter *r)
{
    free(r->report);
    free(r->rates);
    free(r->base);
    memset(r, 0, sizeof *r);
}

void status_free(struct status *s)
{
    if (!s) return;
    for (int i = 0; i < STATUS_MAX_PROCESSES; i++) forget(&s->reporter[i]);
    free(s);
}

/* The process's place, else a free one, else that of the one silent for longest. */
static struct reporter *place_of(struct status *s, const char *name)
{
    struct reporter *oldest = &s->reporter[0];
    for (int i = 0; i < STATUS_MAX_PROCESSES; i++) {
        struct reporter *r = &s->reporter[i];
        if (!strcmp(r->name, name)) return r;
        if (r->reported_ns < oldest->reported_ns) oldest = r;
    }
    forget(oldest);
    return oldest;
}

static int is_counter(const char *key)
{
    size_t n = strlen(key);
    return n > 6 && !strcmp(key + n - 6, "_total");
}

/* Growth a second of each counter; a process that began again counts from 0. */
static json_t *rates_between(json_t *before, json_t *after, double seconds)
{
    json_t *rates = json_object();
    const char *key;
    json_t *value;
    json_object_foreach(after, key, value)
    {
        json_t *old = json_object_get(before, key);
        if (!is_counter(key) || !json_is_number(value) || !json_is_number(old)) continue;
        double grown = json_number_value(value) - json_number_value(old);
        json_object_set_new(rates, key, json_real(grown > 0 ? grown / seconds : 0));
    }
    return rates;
}

/* Whether the peer has told of itself under another name just now. */
static int has_other_name(const struct status *s, const struct link_route *from, const char *name,
                          uint64_t now_ns)
{
    for (int i = 0; i < STATUS_MAX_PROCESSES; i++) {
        const struct reporter *r = &s->reporter[i];
        if (r->name[0] && r->from.bytes && link_route_equal(&r->from, from) &&
            strcmp(r->name, name) != 0 && now_ns < r->reported_ns + gone_ns)
            return 1;
    }
    return 0;
}

static char *text_of(const json_t *value)
{
    return json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(12));
}

/* What is kept, as a tree: NULL where there is none. */
static json_t *tree_of(const char *text)
{
    return text ? json_loads(text, 0, NULL) : NULL;
}

static size_t length(const char *text)
{
    return text ? strlen(text) : 0;
}

static size_t bytes_of(const struct reporter *r)
{
    return length(r->report) + length(r->rates) + length(r->base);
}

/* What is kept is bounded: those silent for longest make room for `kept`. */
static void make_room(struct status *s, const struct reporter *kept)
{
    for (;;) {
        size_t all = bytes_of(kept);
        struct reporter *oldest = NULL;
        for (int i = 0; i < STATUS_MAX_PROCESSES; i++) {
            struct reporter *r = &s->reporter[i];
            all += bytes_of(r);
            if (r->name[0] && (!oldest || r->reported_ns < oldest->reported_ns)) oldest = r;
        }
        if (all <= MESSAGE_KEPT_REPORTS_BYTES || !oldest) return;
        forget(oldest);
    }
}

/* A report that came at once after another one is shown; its rates are those of before, and growth
 * is counted on from where it was. */
static void keep_base(struct reporter *kept, struct reporter *r)
{
    char **base = r->base ? &r->base : &r->report;
    kept->base_ns = r->base ? r->base_ns : r->reported_ns;
    kept->base = *base;
    *base = NULL;
}

static struct overview part_of(const struct status_news *news, const struct reporter *r,
                               int is_soon, struct overview_past *past)
{
    struct overview part = overview_none();
    if (news->kind >= 0)
        part = overview_read((enum process_kind)news->kind, news->report, news->rates);
    if (is_soon)
        memcpy(part.value, r->part.value, OVERVIEW_RATES * sizeof *part.value);
    else
        overview_smooth(&part, past);
    return part;
}

static int keep(struct status *s, struct reporter *r, const struct link_route *from,
                const struct status_news *news, int is_soon, uint64_t now_ns)
{
    const json_t *report = news->report, *rates = news->rates;
    struct reporter kept = {.report = text_of(report),
                            .rates = rates ? text_of(rates) : NULL,
                            .reported_ns = now_ns,
                            .past = r->past,
                            .has_ended = report_number(report, REPORT_SINK_ENDED) > 0,
                            .is_through = report_number(report, REPORT_TRAINER_FINISHED) > 0 ||
                                          report_number(report, REPORT_CAPTURE_ENDED) > 0,
                            .movement = r->movement};
    kept.part = part_of(news, r, is_soon, &kept.past);
    movement_report(&kept.movement, news->kind, report, rates, now_ns);
    if (!kept.report || (rates && !kept.rates)) {
        forget(&kept);
        return err_set(ERR_NOMEM, "no memory for the report of %s", news->name);
    }
    strncpy(kept.name, news->name, sizeof kept.name - 1);
    if (from) kept.from = *from;
    if (is_soon) keep_base(&kept, r);
    if (kept.movement.moved_ns > s->moved_ns) s->moved_ns = kept.movement.moved_ns;
    forget(r);
    make_room(s, &kept);
    *r = kept;
    return ERR_OK;
}

/* What else is kept of a report, or made of it. The error is not among what is shown of it. */
static void pass_on(struct status *s, const struct status_news *news, json_t *report,
                    uint64_t now_ns)
{
    errors_note(&s->errors, news->name, report, now_ns);
    json_object_del(report, REPORT_LAST_ERROR);
    if (s->options.on_report) s->options.on_report(s->options.arg, news);
}

int status_report(struct status *s, const struct link_route *from, const char *name,
                  const char *text, size_t bytes, uint64_t now_ns)
{
    if (!name[0]) return err_set(ERR_FORMAT, "report without a name");
    if (from && has_other_name(s, from, name, now_ns))
        return err_set(ERR_LIMIT, "a second name, %s, from one connection", name);
    json_t *report = json_loadb(text ? text : "", bytes, 0, NULL);
    if (!json_is_object(report)) {
        json_decref(report);
        return err_set(ERR_FORMAT, "report of %s is not a JSON object", name);
    }
    struct reporter *r = place_of(s, name);
    double seconds = (double)(now_ns - (r->base ? r->base_ns : r->reported_ns)) / 1e9;
    json_t *old = tree_of(r->base ? r->base : r->report), *rates = NULL;
    int is_soon = old && seconds < least_seconds;
    if (old) rates = is_soon ? tree_of(r->rates) : rates_between(old, report, seconds);
    struct status_news news = {name, processes_kind_of(name), old, report, rates, seconds};
    pass_on(s, &news, report, now_ns);
    int result = keep(s, r, from, &news, is_soon, now_ns);
    json_decref(old);
    json_decref(rates);
    json_decref(report);
    return result;
}

static int is_kind(const struct reporter *r, enum process_kind kind)
{
    return processes_kind_of(r->name) == (int)kind;
}

static int is_silent(const struct reporter *r, uint64_t now_ns)
{
    return now_ns > r->reported_ns + silent_ns;
}

static int is_over(const struct reporter *r)
{
    return r->is_through || r->has_ended;
}

/* Who was through is not missed, as long as it is known. */
static int is_gone(const struct reporter *r, uint64_t now_ns)
{
    return !r->name[0] || (!is_over(r) && now_ns > r->reported_ns + gone_ns);
}

/* Who is gone still has a part: what it counted holds on until another one needs its place. */
static struct overview overview_of(const struct status *s, uint64_t now_ns)
{
    struct overview all = overview_none();
    for (int i = 0; i < STATUS_MAX_PROCESSES; i++) {
        const struct reporter *r = &s->reporter[i];
        if (r->name[0]) overview_add(&all, &r->part, !is_silent(r, now_ns));
    }
    overview_finish(&all, trend_per_second(&s->slabs));
    return all;
}

void status_tick(struct status *s, uint64_t now_ns, struct overview *overview)
{
    *overview = overview_of(s, now_ns);
    trend_note(&s->slabs, now_ns, overview->value[OVERVIEW_BUFFER_SLABS]);
}

/* Who is not heard of may be why: of several the one longest silent; NULL: all are. */
static const struct reporter *longest_silent(const struct status *s, uint64_t now_ns)
{
    const struct reporter *longest = NULL;
    for (int i = 0; i < STATUS_MAX_PROCESSES; i++) {
        const struct reporter *r = &s->reporter[i];
        if (is_gone(r, now_ns) || !is_silent(r, now_ns) || is_over(r)) continue;
        if (!longest || r->reported_ns < longest->reported_ns) longest = r;
    }
    return longest;
}

const char *status_bottleneck(const struct status *s, uint64_t now_ns)
{
    int producers = 0, trainers = 0;
    for (int i = 0; i < STATUS_MAX_PROCESSES; i++) {
        const struct reporter *r = &s->reporter[i];
        if (!r->name[0] || is_silent(r, now_ns)) continue;
        trainers += is_kind(r, PROCESS_TRAINER);
        producers += is_kind(r, PROCESS_CAPTURE);
    }
    if (!producers) return trainers ? "trainer-bound" : NULL;
    struct overview o = overview_of(s, now_ns);
    if (!(o.value[OVERVIEW_CREDIT_WAIT] >= waiting_share)) return "producer-bound";
    return o.value[OVERVIEW_FILL] > 1 - full_share ? "trainer-bound" : "buffer-bound";
}

/* Of a capture all that moves counts: where the buffer is full, it waits for a trainer. */
static double still_seconds(const struct status *s, const struct reporter *r, int has_ended,
                            uint64_t now_ns)
{
    int is_capture = is_kind(r, PROCESS_CAPTURE);
    if (is_gone(r, now_ns) || r->is_through || (is_capture && has_ended)) return 0;
    return movement_still_seconds(&r->movement, s->options.is_fed,
                                  is_capture ? s->moved_ns : r->movement.moved_ns, now_ns);
}

static void silence_text(const struct status *s, uint64_t now_ns, char *out, size_t bytes)
{
    const struct reporter *r = longest_silent(s, now_ns);
    out[0] = '\0';
    if (r)
        snprintf(out, bytes, "; %s was last heard of %.0f s ago", r->name,
                 (double)(now_ns - r->reported_ns) / 1e9);
}

int status_moves(const struct status *s, uint64_t now_ns)
{
    const struct reporter *stillest = NULL;
    double most = 0;
    int has_ended = 0;
    for (int i = 0; i < STATUS_MAX_PROCESSES; i++) has_ended |= s->reporter[i].has_ended;
    for (int i = 0; i < STATUS_MAX_PROCESSES; i++) {
        double seconds = still_seconds(s, &s->reporter[i], has_ended, now_ns);
        if (seconds <= most) continue;
        most = seconds;
        stillest = &s->reporter[i];
    }
    if (most < MOVEMENT_STILL_SECONDS) return ERR_OK;
    char silent[MESSAGE_NAME_BYTES + 64];
    silence_text(s, now_ns, silent, sizeof silent);
    return err_set(ERR_STATE,
                   "the stream stands still: %s has had rows and moved none for %.0f s%s",
                   stillest->name, most, silent);
}

/* One process; "trainer-main" is of the kind "trainer". Names need no escapes (message_name_ok). */
static void put_process(FILE *out, const struct reporter *r, int is_whole, uint64_t now_ns)
{
    fprintf(
        out,
        "{\"name\":\"%s\",\"kind\":\"%.*s\",\"age_seconds\":%.12g,\"is_through\":%s,\"report\":%s",
        r->name, (int)strcspn(r->name, "-"), r->name, (double)(now_ns - r->reported_ns) / 1e9,
        is_over(r) ? "true" : "false", is_whole ? r->report : "{}");
    if (is_whole && r->rates) fprintf(out, ",\"rates\":%s", r->rates);
    fputc('}', out);
}

/* Whose reports find room in the document: those of captures, which are many, last. */
static void choose_whole(const struct status *s, uint64_t now_ns, char *is_whole)
{
    size_t all = SUMMARY_BYTES + STATUS_MAX_PROCESSES * FRAME_BYTES;
    for (int captures = 0; captures < 2; captures++)
        for (int i = 0; i < STATUS_MAX_PROCESSES; i++) {
            const struct reporter *r = &s->reporter[i];
            size_t bytes = length(r->report) + length(r->rates);
            if (is_gone(r, now_ns) || is_kind(r, PROCESS_CAPTURE) != captures) continue;
            is_whole[i] = all + bytes <= MESSAGE_MAX_TELL_BYTES;
            if (is_whole[i]) all += bytes;
        }
}

static void put_processes(FILE *out, const struct status *s, uint64_t now_ns)
{
    char is_whole[STATUS_MAX_PROCESSES] = {0};
    int count = 0, left_out = 0;
    choose_whole(s, now_ns, is_whole);
    fputs("\"processes\":[", out);
    for (int i = 0; i < STATUS_MAX_PROCESSES; i++) {
        const struct reporter *r = &s->reporter[i];
        if (is_gone(r, now_ns)) continue;
        if (count++) fputc(',', out);
        left_out += !is_whole[i];
        put_process(out, r, is_whole[i], now_ns);
    }
    fprintf(out, "],\"without_report\":%d,", left_out);
}

/* A constant or a sentence of ours, which need no escapes; "" and NULL are null. */
static void put_text(FILE *out, const char *key, const char *text)
{
    if (text && text[0])
        fprintf(out, "\"%s\":\"%s\"", key, text);
    else
        fprintf(out, "\"%s\":null", key);
}

static void put_summary(FILE *out, const struct status *s, const char *bottleneck, uint64_t now_ns)
{
    char advice[ADVICE_BYTES] = "";
    struct overview o = overview_of(s, now_ns);
    fputs("\"overview\":", out);
    overview_write(&o, out);
    const struct reporter *silent = longest_silent(s, now_ns);
    if (silent)
        snprintf(advice, sizeof advice,
                 "%s has said nothing for %.0f s: is it stopped, or its host gone?", silent->name,
                 (double)(now_ns - silent->reported_ns) / 1e9);
    else if (s->options.advice.processors)
        advice_write(&s->options.advice, &o, bottleneck, advice, sizeof advice);
    fputc(',', out);
    put_text(out, "advice", advice);
    fputc(',', out);
    put_text(out, "stalled", status_moves(s, now_ns) == ERR_OK ? NULL : err_text());
    fputs(",\"errors\":", out);
    errors_write(&s->errors, now_ns, out);
    fputs(",\"restarts\":", out);
    if (s->options.lives)
        lives_write(s->options.lives, out);
    else
        fputs("{}", out);
}

int status_json(const struct status *s, uint64_t now_ns, char **text, size_t *bytes)
{
    const char *bottleneck = status_bottleneck(s, now_ns);
    FILE *out = open_memstream(text, bytes);
    if (!out) return err_set(ERR_NOMEM, "no memory for the status of processes");
    fprintf(out, "{\"stream\":\"%s\",", s->stream);
    put_text(out, "bottleneck", bottleneck);
    fputc(',', out);
    put_processes(out, s, now_ns);
    put_summary(out, s, bottleneck, now_ns);
    fputc('}', out);
    if (fclose(out) == 0) return ERR_OK;
    free(*text);
    return err_set(ERR_NOMEM, "no memory for the status of processes");
}
