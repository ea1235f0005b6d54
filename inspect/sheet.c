#include "inspect/sheet.h"

#include "base/json_put.h"

#include <string.h>

/* ---- writing ---- */

/* Where the hits of rows >= row begin. */
static uint64_t find(const struct sheet *s, uint64_t row)
{
    uint64_t low = 0, high = s->portrait.rows;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (s->hits[middle].row < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static json_t *context_json(const struct record_view *v, const struct sheet *s, uint32_t row)
{
    json_t *tokens = json_array(), *values = json_array(), *o = json_object();
    uint64_t first, end;
    portrait_window(v, row, &first, &end);
    uint64_t hit = find(s, first);
    for (uint64_t r = first; r < end; r++) {
        const struct record_row *at = &v->row[r];
        if (r > first && at->position != at[-1].position + 1) {
            json_array_append_new(tokens, json_null());
            json_array_append_new(values, json_null());
        }
        if (r == row) json_put_count(o, "at", json_array_size(tokens));
        int fires = hit < s->portrait.rows && s->hits[hit].row == r;
        json_array_append_new(tokens, json_integer(at->token));
        json_array_append_new(values, at->is_left_out ? json_null()
                                      : fires         ? json_finite((double)s->hits[hit].value)
                                                      : json_integer(0));
        hit += (uint64_t)fires;
    }
    json_put_count(o, "sequence", v->row[row].sequence);
    json_put_count(o, "position", v->row[row].position);
    json_put(o, "tokens", tokens);
    json_put(o, "values", values);
    return o;
}

static json_t *contexts_json(const struct record_view *v, const struct sheet *s,
                             const struct context *contexts, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, context_json(v, s, contexts[i].row));
    return list;
}

static json_t *intervals_json(const struct record_view *v, const struct sheet *s)
{
    const struct portrait *p = &s->portrait;
    json_t *list = json_array();
    for (uint32_t i = 0; i < PORTRAIT_INTERVALS; i++) {
        json_t *o = json_object();
        double part = (double)p->largest / PORTRAIT_INTERVALS;
        json_put_number(o, "from", part * i);
        json_put_number(o, "to", part * (i + 1));
        json_put_count(o, "rows", p->interval_rows[i]);
        json_put(o, "samples", contexts_json(v, s, p->sample[i], p->samples[i]));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *neighbours_json(const struct neighbour *n, uint32_t count, const char *score,
                               int with_rows)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        json_t *o = json_object();
        json_put_count(o, "feature", n[i].feature);
        json_put_number(o, score, n[i].score);
        if (with_rows) json_put_count(o, "rows", n[i].rows);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *promoted_json(const struct promoted *p, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        json_t *o = json_object();
        json_put_count(o, "token", (uint64_t)p[i].token);
        json_put_number(o, "logit", (double)p[i].logit);
        json_array_append_new(list, o);
    }
    return list;
}

char *sheet_text(const struct record_view *v, const struct sheet *s)
{
    const struct portrait *p = &s->portrait;
    json_t *o = json_object(), *histogram = json_array();
    for (uint32_t i = 0; i < PORTRAIT_BINS; i++)
        json_array_append_new(histogram, json_integer((json_int_t)p->histogram[i]));
    json_put_count(o, "feature", s->feature);
    json_put_count(o, "rows", p->rows);
    json_put_number(o, "density", s->kept_rows ? (double)p->rows / (double)s->kept_rows : 0);
    json_put_number(o, "largest", (double)p->largest);
    json_put_number(o, "mean", p->mean);
    json_put(o, "histogram", histogram);
    json_put(o, "top", contexts_json(v, s, p->top, p->tops));
    json_put(o, "intervals", intervals_json(v, s));
    json_put(o, "together", neighbours_json(s->together, s->togethers, "pmi", 1));
    json_put(o, "alike", neighbours_json(s->alike, s->alikes, "cosine", 0));
    json_put(o, "promotes",
             s->promotes ? promoted_json(s->promotes->up, s->promotes->ups) : json_null());
    json_put(o, "suppresses",
             s->promotes ? promoted_json(s->promotes->down, s->promotes->downs) : json_null());
    char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(7));
    json_decref(o);
    return text;
}

/* ---- checking ---- */

static int is_number_or_null(const json_t *x)
{
    return json_is_number(x) || json_is_null(x);
}

static int check_context(const json_t *c)
{
    const json_t *tokens = json_object_get(c, "tokens"), *values = json_object_get(c, "values");
    const json_t *at = json_object_get(c, "at"), *x;
    size_t i, n = json_array_size(tokens);
    if (!json_is_integer(at) || !json_is_integer(json_object_get(c, "sequence")) ||
        !json_is_integer(json_object_get(c, "position")) || n == 0 ||
        json_array_size(values) != n || json_integer_value(at) < 0 ||
        (uint64_t)json_integer_value(at) >= n)
        return 0;
    json_array_foreach(tokens, i, x) if (!json_is_integer(x) && !json_is_null(x)) return 0;
    json_array_foreach(values, i, x) if (!is_number_or_null(x)) return 0;
    return 1;
}

static int check_contexts(const json_t *list)
{
    const json_t *c;
    size_t i;
    json_array_foreach(list, i, c) if (!check_context(c)) return 0;
    return json_is_array(list);
}

static int check_intervals(const json_t *list)
{
    const json_t *o;
    size_t i;
    json_array_foreach(list, i, o)
    {
        if (!json_is_number(json_object_get(o, "from")) ||
            !json_is_number(json_object_get(o, "to")) ||
            !json_is_integer(json_object_get(o, "rows")) ||
            !check_contexts(json_object_get(o, "samples")))
            return 0;
    }
    return json_is_array(list);
}

static int check_neighbours(const json_t *list, const char *score, uint32_t features)
{
    const json_t *o;
    size_t i;
    json_array_foreach(list, i, o)
    {
        const json_t *f = json_object_get(o, "feature");
        if (!json_is_integer(f) || json_integer_value(f) < 0 ||
            json_integer_value(f) >= (json_int_t)features ||
            !json_is_number(json_object_get(o, score)))
            return 0;
    }
    return json_is_array(list);
}

/* Both are told, or neither is. */
static int check_promoted(const json_t *up, const json_t *down)
{
    const json_t *lists[] = {up, down}, *o;
    size_t i;
    if (json_is_null(up) && json_is_null(down)) return 1;
    for (int k = 0; k < 2; k++) {
        json_array_foreach(lists[k], i, o)
        {
            const json_t *token = json_object_get(o, "token");
            if (!json_is_integer(token) || json_integer_value(token) < 0 ||
                json_integer_value(token) > INT32_MAX ||
                !json_is_number(json_object_get(o, "logit")))
                return 0;
        }
    }
    return json_is_array(up) && json_is_array(down);
}

int sheet_check(const json_t *sheet, uint32_t feature, uint32_t features)
{
    static const char *const numbers[] = {"rows", "density", "largest", "mean"};
    const json_t *f = json_object_get(sheet, "feature"), *x;
    size_t i;
    if (!json_is_integer(f) || json_integer_value(f) != (json_int_t)feature) return 0;
    for (i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!json_is_number(json_object_get(sheet, numbers[i]))) return 0;
    const json_t *histogram = json_object_get(sheet, "histogram");
    json_array_foreach(histogram, i, x) if (!json_is_integer(x)) return 0;
    return json_is_array(histogram) && check_contexts(json_object_get(sheet, "top")) &&
           check_intervals(json_object_get(sheet, "intervals")) &&
           check_neighbours(json_object_get(sheet, "together"), "pmi", features) &&
           check_neighbours(json_object_get(sheet, "alike"), "cosine", features) &&
           check_promoted(json_object_get(sheet, "promotes"), json_object_get(sheet, "suppresses"));
}
