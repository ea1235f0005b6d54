#include "broker/history_query.h"

#include "base/err.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_SECONDS = 3600, DIGITS_MOST = 11 };

/* A whole number, with a sign where it may have one, and nothing else. */
static int parse_number(const char *key, const char *text, int64_t least, int64_t most,
                        int64_t *number)
{
    size_t digits = strspn(text + (text[0] == '-'), "0123456789");
    int is_number = digits > 0 && digits <= DIGITS_MOST && !text[digits + (text[0] == '-')];
    *number = is_number ? strtoll(text, NULL, 10) : 0;
    if (is_number && *number >= least && *number <= most) return ERR_OK;
    return err_set(ERR_USAGE, "%s=%.40s: a whole number from %lld to %lld is taken here", key, text,
                   (long long)least, (long long)most);
}

/* A time; what is negative counts back from now. */
static int parse_time(const char *key, const char *text, uint64_t now, uint64_t otherwise,
                      uint64_t *seconds)
{
    int64_t number, most = UINT32_MAX;
    *seconds = otherwise;
    if (!text) return ERR_OK;
    int result = parse_number(key, text, -most, most, &number);
    if (result != ERR_OK) return result;
    uint64_t back = number < 0 ? (uint64_t)-number : 0;
    *seconds = number >= 0 ? (uint64_t)number : back < now ? now - back : 0;
    return ERR_OK;
}

static int add_series(const struct history *h, const char *name, struct history_query *q)
{
    int index = history_find(h, name);
    if (index < 0)
        return err_set(ERR_USAGE,
                       "series=%.80s: there is no such series; HINT: /api/history/series has all",
                       name);
    for (uint32_t i = 0; i < q->count; i++)
        if (q->series[i] == index) return err_set(ERR_USAGE, "series=%.80s is there twice", name);
    q->series[q->count++] = (uint16_t)index;
    return ERR_OK;
}

static int parse_series(const struct history *h, const char *text, struct history_query *q)
{
    int result = ERR_OK;
    q->count = 0;
    if (!text) {
        for (uint32_t i = 0; i < history_count(h); i++) q->series[q->count++] = (uint16_t)i;
        return ERR_OK;
    }
    if (strlen(text) >= HISTORY_QUERY_TEXT_BYTES)
        return err_set(ERR_USAGE, "series: at most %d bytes of names are taken",
                       HISTORY_QUERY_TEXT_BYTES - 1);
    for (const char *p = text; result == ERR_OK; p += strcspn(p, ",") + 1) {
        char name[HISTORY_FILE_NAME_BYTES];
        size_t length = strcspn(p, ",");
        if (length == 0 || length >= sizeof name)
            return err_set(ERR_USAGE,
                           "series: names of 1 to %d bytes, divided by commas, are taken here",
                           HISTORY_FILE_NAME_BYTES - 1);
        memcpy(name, p, length);
        name[length] = '\0';
        result = add_series(h, name, q);
        if (!p[length]) break;
    }
    return result;
}

static int parse_points(const char *text, uint32_t series, uint32_t *points)
{
    int64_t number;
    uint32_t room = series ? HISTORY_QUERY_MOST_VALUES / series : HISTORY_QUERY_MOST_POINTS;
    *points = room < HISTORY_QUERY_POINTS ? room : HISTORY_QUERY_POINTS;
    if (!text) return ERR_OK;
    int result = parse_number("points", text, 1, HISTORY_QUERY_MOST_POINTS, &number);
    if (result != ERR_OK) return result;
    if (number > room)
        return err_set(ERR_USAGE,
                       "points=%lld of %u series are more than %d numbers; HINT: ask for fewer "
                       "series (series=A,B) or points",
                       (long long)number, series, HISTORY_QUERY_MOST_VALUES);
    *points = (uint32_t)number;
    return ERR_OK;
}

/* The finest resolution that goes back so far, in steps of which no more than `points` are needed;
 * the ends move outward to whole steps. */
static void choose_steps(uint64_t now, uint32_t points, struct history_query *q)
{
    int r = 0;
    while (r < GRID_RESOLUTIONS - 1 && q->from_seconds + grid_span_seconds(r) < now) r++;
    uint64_t unit = grid_step_seconds(r), seconds = q->to_seconds - q->from_seconds;
    uint64_t step = unit * ((seconds + unit * points - 1) / (unit * points));
    if (step == 0) step = unit;
    for (;; step += unit) {
        uint64_t first = q->from_seconds / step * step;
        uint64_t last = (q->to_seconds + step - 1) / step * step;
        if ((last - first) / step > points) continue;
        q->from_seconds = first;
        q->to_seconds = last;
        break;
    }
    q->resolution = r;
    q->step_seconds = (uint32_t)step;
}

int history_query_parse(const struct history *h, const char *series, const char *from,
                        const char *to, const char *points, uint64_t now, struct history_query *q)
{
    uint32_t most;
    uint64_t oldest = now - grid_span_seconds(GRID_RESOLUTIONS - 1);
    int result = parse_series(h, series, q);
    if (result == ERR_OK) result = parse_points(points, q->count, &most);
    if (result == ERR_OK)
        result = parse_time("from", from, now, now - DEFAULT_SECONDS, &q->from_seconds);
    if (result == ERR_OK) result = parse_time("to", to, now, now, &q->to_seconds);
    if (result != ERR_OK) return result;
    if (q->from_seconds >= q->to_seconds)
        return err_set(ERR_USAGE, "from=%llu is not before to=%llu",
                       (unsigned long long)q->from_seconds, (unsigned long long)q->to_seconds);
    if (q->to_seconds > now + 1) q->to_seconds = now + 1;
    if (q->from_seconds < oldest) q->from_seconds = oldest;
    if (q->from_seconds >= q->to_seconds) q->from_seconds = q->to_seconds - 1;
    choose_steps(now, most, q);
    return ERR_OK;
}

static void write_points(const struct history *h, const struct history_query *q, uint32_t index,
                         FILE *out)
{
    for (uint64_t t = q->from_seconds; t < q->to_seconds; t += q->step_seconds) {
        double mean = history_mean(h, index, q->resolution, t, t + q->step_seconds);
        if (t > q->from_seconds) fputc(',', out);
        if (isnan(mean))
            fputs("null", out);
        else
            fprintf(out, "%.6g", mean);
    }
}

void history_query_write(const struct history *h, const struct history_query *q, FILE *out)
{
    fprintf(out, "{\"from\":%llu,\"step_seconds\":%u,\"series\":{",
            (unsigned long long)q->from_seconds, q->step_seconds);
    for (uint32_t i = 0; i < q->count; i++) {
        fprintf(out, "%s\"%s\":[", i ? "," : "", history_name(h, q->series[i]));
        write_points(h, q, q->series[i], out);
        fputc(']', out);
    }
    fputs("}}", out);
}
