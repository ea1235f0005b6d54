#include "inspect/portrait.h"

#include "base/rng.h"
#include "engine/fingerprint.h"

#include <string.h>

enum {
    CANDIDATES = 4 * PORTRAIT_TOP, /* for the top, before equal texts are left out */
    DRAWN = PORTRAIT_SAMPLES + CANDIDATES,
};

struct drawn { /* a context of a sequence, with the sequence's lot */
    uint64_t lot;
    struct context context;
};

struct painter {
    const struct record_view *view;
    uint64_t feature;
    struct context best[CANDIDATES]; /* sorted */
    uint32_t bests;
    struct drawn drawn[PORTRAIT_INTERVALS][DRAWN]; /* the smallest lots, sorted */
    uint32_t draws[PORTRAIT_INTERVALS];
    struct portrait *portrait;
};

void portrait_window(const struct record_view *v, uint32_t row, uint64_t *first, uint64_t *end)
{
    uint64_t sequence = v->row[row].sequence;
    *first = row;
    *end = (uint64_t)row + 1;
    while (*first > 0 && row - *first < PORTRAIT_BEFORE && v->row[*first - 1].sequence == sequence)
        --*first;
    while (*end < v->rows && *end - row <= PORTRAIT_AFTER && v->row[*end].sequence == sequence)
        ++*end;
}

/* ---- one sequence's context ---- */

static int is_more(const struct context *a, const struct context *b)
{
    return a->value != b->value ? a->value > b->value : a->row < b->row;
}

static void offer_best(struct painter *p, const struct context *c)
{
    uint32_t at = p->bests;
    if (at == CANDIDATES && !is_more(c, &p->best[at - 1])) return;
    if (at == CANDIDATES)
        at--;
    else
        p->bests++;
    for (; at > 0 && is_more(c, &p->best[at - 1]); at--) p->best[at] = p->best[at - 1];
    p->best[at] = *c;
}

static uint32_t part_of(float value, float largest, uint32_t parts)
{
    uint32_t part = (uint32_t)((double)value / (double)largest * parts);
    return part < parts ? part : parts - 1;
}

static void offer_sample(struct painter *p, uint32_t i, const struct context *c)
{
    uint64_t lot = hash_words(0, p->feature, p->view->row[c->row].sequence, 0);
    struct drawn *drawn = p->drawn[i];
    uint32_t at = p->draws[i];
    if (at == DRAWN && lot >= drawn[at - 1].lot) return;
    if (at == DRAWN)
        at--;
    else
        p->draws[i]++;
    for (; at > 0 && lot < drawn[at - 1].lot; at--) drawn[at] = drawn[at - 1];
    drawn[at] = (struct drawn){lot, *c};
}

/* Of a sequence: its largest hit, and in each interval the largest; the first of equals. */
static void offer_all(struct painter *p, const struct hit *hits, uint64_t count)
{
    const struct record_row *row = p->view->row;
    for (uint64_t i = 0; i < count;) {
        uint64_t sequence = row[hits[i].row].sequence;
        struct context best = {0, 0}, of[PORTRAIT_INTERVALS] = {{0, 0}};
        for (; i < count && row[hits[i].row].sequence == sequence; i++) {
            struct context c = {hits[i].row, hits[i].value};
            uint32_t k = part_of(c.value, p->portrait->largest, PORTRAIT_INTERVALS);
            if (c.value > best.value) best = c;
            if (c.value > of[k].value) of[k] = c;
        }
        offer_best(p, &best);
        for (uint32_t k = 0; k < PORTRAIT_INTERVALS; k++)
            if (of[k].value > 0) offer_sample(p, k, &of[k]);
    }
}

/* ---- what is kept of them ---- */

/* Of texts that are the same, and of nothing else. */
static uint64_t text_of(const struct record_view *v, uint32_t row)
{
    uint64_t first, end, hash = 0;
    if (!v->has_tokens) return fingerprint_add_u64(1, row);
    portrait_window(v, row, &first, &end);
    for (uint64_t r = first; r < end; r++) hash = fingerprint_add_u64(hash, v->row[r].token);
    return fingerprint_add_u64(hash, row - first);
}

struct seen {
    uint64_t text[PORTRAIT_TOP + PORTRAIT_INTERVALS * PORTRAIT_SAMPLES];
    uint32_t count;
};

/* 1: the context's text is new. */
static int see(struct seen *seen, const struct record_view *v, uint32_t row)
{
    uint64_t text = text_of(v, row);
    for (uint32_t i = 0; i < seen->count; i++)
        if (seen->text[i] == text) return 0;
    seen->text[seen->count++] = text;
    return 1;
}

static void keep(const struct painter *p)
{
    struct portrait *out = p->portrait;
    struct seen seen = {.count = 0};
    for (uint32_t i = 0; i < p->bests && out->tops < PORTRAIT_TOP; i++)
        if (see(&seen, p->view, p->best[i].row)) out->top[out->tops++] = p->best[i];
    for (uint32_t k = 0; k < PORTRAIT_INTERVALS; k++)
        for (uint32_t i = 0; i < p->draws[k] && out->samples[k] < PORTRAIT_SAMPLES; i++)
            if (see(&seen, p->view, p->drawn[k][i].context.row))
                out->sample[k][out->samples[k]++] = p->drawn[k][i].context;
}

static void count_values(const struct hit *hits, uint64_t count, struct portrait *out)
{
    double sum = 0;
    out->rows = count;
    for (uint64_t i = 0; i < count; i++) {
        if (hits[i].value > out->largest) out->largest = hits[i].value;
        sum += (double)hits[i].value;
    }
    out->mean = count ? sum / (double)count : 0;
    for (uint64_t i = 0; out->largest > 0 && i < count; i++) {
        out->histogram[part_of(hits[i].value, out->largest, PORTRAIT_BINS)]++;
        out->interval_rows[part_of(hits[i].value, out->largest, PORTRAIT_INTERVALS)]++;
    }
}

void portrait_make(const struct record_view *view, uint32_t feature, const struct hit *hits,
                   uint64_t count, struct portrait *portrait)
{
    struct painter p = {.view = view, .feature = feature, .portrait = portrait};
    *portrait = (struct portrait){0};
    count_values(hits, count, portrait);
    if (!(portrait->largest > 0)) return;
    offer_all(&p, hits, count);
    keep(&p);
}
