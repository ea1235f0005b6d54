#include "broker/status.h"

#include "base/err.h"
#include "proto/message.h"
#include "proto/report.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t stale_ns = UINT64_C(5000000000);  /* counts no longer for the bottleneck */
static const uint64_t gone_ns = UINT64_C(600000000000); /* is no longer shown */
static const double waiting_share = 0.1; /* of the time: a producer that waits for room */
static const double full_share = 0.1;    /* of the slabs free: a buffer that is full */

struct reporter {
    char name[MESSAGE_NAME_BYTES]; /* "": free */
    json_t *report, *rates;
    uint64_t reported_ns;
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
    json_decref(r->report);
    json_decref(r->rates);
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

int status_report(struct status *s, const char *name, const char *text, size_t bytes,
                  uint64_t now_ns)
{
    if (!name[0]) return err_set(ERR_FORMAT, "report without a name");
    json_t *report = json_loadb(text ? text : "", bytes, 0, NULL);
    if (!json_is_object(report)) {
        json_decref(report);
        return err_set(ERR_FORMAT, "report of %s is not a JSON object", name);
    }
    struct reporter *r = place_of(s, name);
    double seconds = (double)(now_ns - r->reported_ns) / 1e9;
    json_t *rates = r->report && seconds > 0 ? rates_between(r->report, report, seconds) : NULL;
    forget(r);
    strncpy(r->name, name, sizeof r->name - 1);
    r->report = report;
    r->rates = rates;
    r->reported_ns = now_ns;
    return ERR_OK;
}

/* "trainer-main" is of the kind "trainer". */
static json_t *kind_of(const char *name)
{
    return json_stringn(name, strcspn(name, "-"));
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
            double w = report_number(r->rates, REPORT_CAPTURE_BLOCKED_SECONDS);
            if (w > waiting) waiting = w;
        }
        if (is_kind(r, "sink")) {
            double all = report_number(r->report, REPORT_SINK_CAPACITY_SLABS);
            double used = report_number(r->report, REPORT_SINK_BUFFER_SLABS);
            is_full = all > 0 && all - used < full_share * all;
        }
    }
    if (!producers) return trainers ? "trainer-bound" : NULL;
    if (waiting < waiting_share) return "producer-bound";
    return is_full ? "trainer-bound" : "buffer-bound";
}

int status_json(const struct status *s, uint64_t now_ns, char **text, size_t *bytes)
{
    json_t *list = json_array();
    for (int i = 0; i < STATUS_MAX_PROCESSES; i++) {
        const struct reporter *r = &s->reporter[i];
        if (!r->name[0] || now_ns > r->reported_ns + gone_ns) continue;
        json_array_append_new(list, json_pack("{s:s, s:o, s:f, s:O, s:O*}", "name", r->name, "kind",
                                              kind_of(r->name), "age_seconds",
                                              (double)(now_ns - r->reported_ns) / 1e9, "report",
                                              r->report, "rates", r->rates));
    }
    json_t *root = json_pack("{s:s, s:s?, s:o}", "stream", s->stream, "bottleneck",
                             status_bottleneck(s, now_ns), "processes", list);
    *text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(root);
    if (!*text) return err_set(ERR_NOMEM, "no memory for the status of processes");
    *bytes = strlen(*text);
    return ERR_OK;
}
