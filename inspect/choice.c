#include "inspect/choice.h"

#include "base/err.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_WORDS = 3, MOST_WORDS = 6, LEAST_WHOLE = CHOICE_CONTEXTS - 1 };

struct word { /* a token's text without the space before it */
    const char *text;
    size_t bytes;
};

struct passed { /* a feature that passes the rule */
    uint32_t feature, words;
    double score; /* the mean value at its strongest contexts; never above its largest */
    struct word word[MOST_WORDS];
};

struct choice {
    const struct index *index;
    uint32_t *order; /* (candidates): features, the largest value first */
    uint32_t candidates;
    struct passed *passed; /* (count), the highest score first */
    uint32_t count;
};

/* ---- words ---- */

static struct word word_of(const struct index *index, int64_t token)
{
    struct word w = {NULL, 0};
    w.text = index_token(index, token, &w.bytes);
    while (w.text && w.bytes && isspace((unsigned char)*w.text)) {
        w.text++;
        w.bytes--;
    }
    return w;
}

static int same_word(const struct word *a, const struct word *b)
{
    if (a->bytes != b->bytes) return 0;
    for (size_t i = 0; i < a->bytes; i++)
        if (tolower((unsigned char)a->text[i]) != tolower((unsigned char)b->text[i])) return 0;
    return 1;
}

static int is_whole(const struct index *index, int64_t token)
{
    size_t bytes;
    const char *text = index_token(index, token, &bytes);
    if (!text || bytes < 2 || text[0] != ' ') return 0;
    for (size_t i = 1; i < bytes; i++)
        if (!isalpha((unsigned char)text[i])) return 0;
    return 1;
}

/* Add a word unless it is there. 0: there are too many. */
static int add_word(struct passed *p, struct word w)
{
    for (uint32_t i = 0; i < p->words; i++)
        if (same_word(&p->word[i], &w)) return 1;
    if (p->words == MOST_WORDS) return 0;
    p->word[p->words++] = w;
    return 1;
}

static int share_a_word(const struct passed *a, const struct passed *b)
{
    for (uint32_t i = 0; i < a->words; i++)
        for (uint32_t j = 0; j < b->words; j++)
            if (same_word(&a->word[i], &b->word[j])) return 1;
    return 0;
}

/* ---- the rule ---- */

static int passes(const struct index *index, uint32_t feature, const json_t *sheet,
                  struct passed *out)
{
    const json_t *top = json_object_get(sheet, "top");
    int whole = 0;
    double sum = 0;
    *out = (struct passed){.feature = feature};
    if (json_array_size(top) < CHOICE_CONTEXTS) return 0;
    for (size_t i = 0; i < CHOICE_CONTEXTS; i++) {
        const json_t *context = json_array_get(top, i);
        size_t at = (size_t)json_integer_value(json_object_get(context, "at"));
        int64_t token = json_integer_value(json_array_get(json_object_get(context, "tokens"), at));
        whole += is_whole(index, token);
        sum += json_number_value(json_array_get(json_object_get(context, "values"), at));
        if (!add_word(out, word_of(index, token))) return 0;
    }
    out->score = sum / CHOICE_CONTEXTS;
    return out->words >= LEAST_WORDS && whole >= LEAST_WHOLE;
}

static int is_candidate(const struct index *index, uint32_t feature)
{
    uint64_t rows = index->entry[feature].rows;
    return rows >= CHOICE_LEAST_ROWS &&
           (double)rows < CHOICE_DENSITY * (double)index->facts.kept_rows;
}

static const struct index_entry *sorted_by; /* qsort() passes nothing to its comparison */

static int by_largest(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    float m = sorted_by[x].largest, n = sorted_by[y].largest;
    return m != n ? (m < n ? 1 : -1) : (x > y) - (x < y);
}

static void insert(struct choice *c, const struct passed *p)
{
    uint32_t at = c->count++;
    for (; at > 0 && c->passed[at - 1].score < p->score; at--) c->passed[at] = c->passed[at - 1];
    c->passed[at] = *p;
}

/* The best of those that passed so far; *least is the last one's score. */
static uint32_t pick(const struct choice *c, uint32_t most, uint32_t *chosen, double *least)
{
    uint32_t at[CHOICE_MOST], count = 0;
    for (uint32_t i = 0; i < c->count && count < most; i++) {
        int is_new = 1;
        for (uint32_t j = 0; j < count && is_new; j++)
            is_new = !share_a_word(&c->passed[at[j]], &c->passed[i]);
        if (!is_new) continue;
        *least = c->passed[i].score;
        chosen[count] = c->passed[i].feature;
        at[count++] = i;
    }
    return count;
}

/* Candidates come with falling largest values, which no score is above: once the last one that is
 * picked is better than that, none that follows can be. */
static int read_candidates(struct choice *c, uint32_t most, uint32_t *chosen, uint32_t *count)
{
    double least = 0;
    for (uint32_t i = 0; i < c->candidates; i++) {
        uint32_t feature = c->order[i];
        struct passed p;
        json_t *sheet;
        if (*count == most && least >= (double)c->index->entry[feature].largest) break;
        int result = index_sheet(c->index, feature, &sheet);
        if (result != ERR_OK) return result;
        if (passes(c->index, feature, sheet, &p)) {
            insert(c, &p);
            *count = pick(c, most, chosen, &least);
        }
        json_decref(sheet);
    }
    return ERR_OK;
}

int choice_make(const struct index *index, uint32_t most, uint32_t *chosen, uint32_t *count)
{
    struct choice c = {.index = index};
    uint32_t features = index->facts.features;
    *count = 0;
    if (!index->token_at)
        return err_set(ERR_USAGE,
                       "%s knows no tokens' texts, by which features are chosen; HINT: `sluice "
                       "features list` shows all",
                       index->folder);
    c.order = malloc(((size_t)features + 1) * sizeof *c.order);
    c.passed = malloc(((size_t)features + 1) * sizeof *c.passed);
    int result = c.order && c.passed ? ERR_OK : err_set(ERR_NOMEM, "no memory for a choice");
    for (uint32_t f = 0; f < features && result == ERR_OK; f++)
        if (is_candidate(index, f)) c.order[c.candidates++] = f;
    sorted_by = index->entry;
    if (result == ERR_OK) {
        qsort(c.order, c.candidates, sizeof *c.order, by_largest);
        result = read_candidates(&c, most, chosen, count);
    }
    free(c.order);
    free(c.passed);
    return result;
}
