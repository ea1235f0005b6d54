#include "broker/status.h"

#include "base/err.h"
#include "proto/message.h"
#include "proto/report.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t stale_ns = UINT64_C(5000000000);  /* counts no longer for the bottleneck */
static const uint64_t gone_ns = UINT64_C(600000000000); /* is no longer shown */
static const double waiting_share = 0.1; /* of the time: a producer that waits for room */
static const double full_share = 0.1;    /* of the slabs free: a buffer that is full */

enum { FRAME_BYTES = 256 }; /* of a process in the document, beside its report and rates */

struct reporter {
    char name[MESSAGE_NAME_BYTES]; /* "": free */
    struct link_route from;        /* of no bytes: this process */
    char *report, *rates;          /* JSON; rates: NULL at its first */
    uint64_t reported_ns;
    /* what the bottleneck is told by; NaN: it does not say */
    double blocked_rate, capacity_slabs, slabs;
};

struct status {
    char stream[MESSAGE_NAME_BYTES];
    struct reporter reporter[STATUS_MAX_PROCESSES];
};

int status_new(const char *stream, struct status **status)
{
    struct status *s = calloc(1, sizeof *s);
    if (!s) return err_set(ERR_NOMEM, "no memory for the status of processes");
    strncpy(s->stream, stream, sizeof s->stream - 1);
    *status = s;
    return ERR_OK;
}

static void forget(struct reporter *r)
{
    free(r->report);
    free(r->rates);
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

/* What was reported before, as a tree: NULL where there is none. */
static json_t *before(const struct reporter *r)
{
    return r->report ? json_loads(r->report, 0, NULL) : NULL;
}

static size_t bytes_of(const struct reporter *r)
{
    return r->name[0] ? strlen(r->report) + (r->rates ? strlen(r->rates) : 0) + FRAME_BYTES : 0;
}

/* All that is kept fits in one message: those silent for longest make room for `bytes` more. */
static void make_room(struct status *s, size_t bytes)
{
    for (;;) {
        size_t all = bytes + FRAME_BYTES;
        struct reporter *oldest = NULL;
        for (int i = 0; i < STATUS_MAX_PROCESSES; i++) {
            struct reporter *r = &s->reporter[i];
            all += bytes_of(r);
            if (r->name[0] && (!oldest || r->reported_ns < oldest->reported_ns)) oldest = r;
        }
        if (all <= MESSAGE_MAX_TELL_BYTES || !oldest) return;
        forget(oldest);
    }
}

static int keep(struct status *s, struct reporter *r, const struct link_route *from,
                const char *name, const json_t *report, json_t *rates, uint64_t now_ns)
{
    struct reporter kept = {.report = text_of(report),
                            .rates = rates ? text_of(rates) : NULL,
                            .reported_ns = now_ns,
                            .blocked_rate = report_number(rates, REPORT_CAPTURE_BLOCKED_SECONDS),
                            .capacity_slabs = report_number(report, REPORT_SINK_CAPACITY_SLABS),
                            .slabs = report_number(report, REPORT_SINK_BUFFER_SLABS)};
    if (!kept.report || (rates && !kept.rates)) {
        forget(&kept);
        return err_set(ERR_NOMEM, "no memory for the report of %s", name);
    }
    strncpy(kept.name, name, sizeof kept.name - 1);
    if (from) kept.from = *from;
    forget(r);
    make_room(s, bytes_of(&kept));
    *r = kept;
    return ERR_OK;
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
    double seconds = (double)(now_ns - r->reported_ns) / 1e9;
    json_t *old = before(r);
    json_t *rates = old && seconds > 0 ? rates_between(old, report, seconds) : NULL;
    int result = keep(s, r, from, name, report, rates, now_ns);
    json_decref(old);
    json_decref(rates);
    json_decref(report);
    return result;
}

static int is_kind(const struct reporter *r, const char *kind)
{
    size_t n = strlen(kind);
    return !strncmp(r->name, kind, n) && (r->name[n] == 0 || r->name[n] == '-');
}

const char *status_bottleneck(const struct status *s, uint64_t now_ns)
{
    int producers = 0, trainers = 0, is_full = 0;
    double waiting = 0;
    for (int i = 0; i < STATUS_MAX_PROCESSES; i++) {
        const struct reporter *r = &s->reporter[i];
        if (!r->name[0] || now_ns > r->reported_ns + stale_ns) continue;
        trainers += is_kind(r, "trainer");
        if (is_kind(r, "capture")) {
            producers++;
            if (r->blocked_rate > waiting) waiting = r->blocked_rate;
        }
        if (is_kind(r, "sink")) {
            double all = r->capacity_slabs;
            is_full = all > 0 && all - r->slabs < full_share * all;
        }
    }
    if (!producers) return trainers ? "trainer-bound" : NULL;
    if (waiting < waiting_share) return "producer-bound";
    return is_full ? "trainer-bound" : "buffer-bound";
}

/* One process; "trainer-main" is of the kind "trainer". Names need no escapes (message_name_ok). */
static void put_process(FILE *out, const struct reporter *r, uint64_t now_ns)
{
    fprintf(out, "{\"name\":\"%s\",\"kind\":\"%.*s\",\"age_seconds\":%.12g,\"report\":%s", r->name,
            (int)strcspn(r->name, "-"), r->name, (double)(now_ns - r->reported_ns) / 1e9,
            r->report);
    if (r->rates) fprintf(out, ",\"rates\":%s", r->rates);
    fputc('}', out);
}

int status_json(const struct status *s, uint64_t now_ns, char **text, size_t *bytes)
{
    const char *bottleneck = status_bottleneck(s, now_ns), *quote = bottleneck ? "\"" : "";
    FILE *out = open_memstream(text, bytes);
    if (!out) return err_set(ERR_NOMEM, "no memory for the status of processes");
    fprintf(out, "{\"stream\":\"%s\",\"bottleneck\":%s%s%s,\"processes\":[", s->stream, quote,
            bottleneck ? bottleneck : "null", quote);
    int count = 0;
    for (int i = 0; i < STATUS_MAX_PROCESSES; i++) {
        const struct reporter *r = &s->reporter[i];
        if (!r->name[0] || now_ns > r->reported_ns + gone_ns) continue;
        if (count++) fputc(',', out);
        put_process(out, r, now_ns);
    }
    fputs("]}", out);
    if (fclose(out) == 0) return ERR_OK;
    free(*text);
    return err_set(ERR_NOMEM, "no memory for the status of processes");
}
