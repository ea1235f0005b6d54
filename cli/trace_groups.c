/* Which features tell two sets of prompts apart. */
#include "cli/trace.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/json_put.h"
#include "cli/labelled.h"
#include "cli/pace.h"
#include "cli/shown.h"
#include "inspect/contrast.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_PROMPTS = 100000, MOST_SHUFFLES = 1000000 };

struct prompts { /* lines of two files */
    char *text[2];
    char **line;
    uint32_t *number; /* of the line in its file, from 1 */
    const char *file[2];
    uint8_t *group;
    size_t count;
    size_t size[2];
};

static void prompts_free(struct prompts *p)
{
    free(p->text[0]);
    free(p->text[1]);
    free(p->line);
    free(p->number);
    free(p->group);
}

static int add_line(struct prompts *p, char *line, uint32_t number, uint8_t group)
{
    if (!line[strspn(line, " \t\r")]) return ERR_OK;
    if (p->count == MOST_PROMPTS)
        return err_set(ERR_USAGE, "%s: over %d prompts; HINT: some of them", p->file[group],
                       MOST_PROMPTS);
    p->line[p->count] = line;
    p->number[p->count] = number;
    p->group[p->count++] = group;
    p->size[group]++;
    return ERR_OK;
}

static int read_group(struct prompts *p, uint8_t group)
{
    const char *file = p->file[group];
    uint32_t number = 0;
    size_t bytes;
    int result = file_read(file, (size_t)1 << 26, &p->text[group], &bytes);
    if (result != ERR_OK) return result == ERR_NOTFOUND ? ERR_USAGE : result;
    char *at = p->text[group], *end = at + bytes;
    while (at < end && result == ERR_OK) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        if (memchr(at, '\0', (size_t)(stop - at)))
            return err_set(ERR_USAGE, "%s:%u: a NUL; HINT: prompts are text", file, number + 1);
        if (stop < end) *stop = '\0'; /* file_read() ends with a NUL of its own */
        if (stop > at && stop[-1] == '\r') stop[-1] = '\0';
        result = add_line(p, at, ++number, group);
        at = stop + 1;
    }
    return result;
}

static int read_prompts(const char *these, const char *against, struct prompts *p)
{
    *p = (struct prompts){.file = {these, against}};
    p->number = calloc(MOST_PROMPTS, sizeof *p->number);
    p->line = calloc(MOST_PROMPTS, sizeof *p->line);
    p->group = calloc(MOST_PROMPTS, 1);
    int result =
        p->line && p->number && p->group ? ERR_OK : err_set(ERR_NOMEM, "no memory for prompts");
    if (result == ERR_OK) result = read_group(p, 0);
    if (result == ERR_OK) result = read_group(p, 1);
    for (int g = 0; g < 2 && result == ERR_OK; g++)
        if (p->size[g] < 2)
            result = err_set(ERR_USAGE, "%s: %zu prompts; HINT: two at least, each in a line",
                             p->file[g], p->size[g]);
    return result;
}

/* Of each feature the mean of its values over the text's tokens, into out (features). */
static void means(const struct firing *f, float *out)
{
    for (uint64_t row = 0; row < f->count; row++)
        for (uint64_t i = f->pairs.start[row]; i < f->pairs.start[row + 1] && !f->left_out[row];
             i++)
            out[f->pairs.feature[i]] += f->pairs.value[i] / (float)f->counted;
}

/* Of one prompt, its features' numbers. One of which nothing counts has none: 0 would be wrong. */
static int read_one(struct trace *t, const char *text, float *values)
{
    struct firing f;
    int result = firing_make(&t->subject, t->player, &t->hooks, text, t->most_tokens, &f);
    if (result != ERR_OK) return result;
    if (f.counted)
        means(&f, values);
    else
        result = err_set(ERR_USAGE,
                         "no token of the prompt counts: the first, special ones and those that "
                         "trainings leave out do not; HINT: a longer prompt");
    firing_free(&f);
    return result;
}

static int read_values(struct trace *t, const struct prompts *p, float *values)
{
    uint32_t features = subject_features(&t->subject);
    struct pace pace = {.begun = time(NULL)};
    for (size_t i = 0; i < p->count; i++) {
        int result = read_one(t, p->line[i], values + i * features);
        if (result != ERR_OK)
            return err_set(result, "%s:%u: %s", p->file[p->group[i]], p->number[i], err_text());
        int is_last = i + 1 == p->count;
        if (pace_due(&pace, 1, is_last))
            pace_tell(&pace, is_last, "%zu of %zu prompts", i + 1, p->count);
    }
    return ERR_OK;
}

static void print_ranked(const struct trace *t, const struct prompts *p,
                         const struct contrast *ranked, size_t count, long long shuffles)
{
    char label[LABELLED_BYTES];
    printf("%s, %s: %zu prompts against %zu; a feature's number of a prompt is the mean of its "
           "values over the tokens\n\n"
           "%8s %9s %9s %9s %9s\n",
           t->subject.name, t->subject.hook[0], p->size[0], p->size[1], "feature", "these",
           "others", "effect", "p");
    for (size_t i = 0; i < count; i++) {
        labelled_text(&t->labels, ranked[i].feature, label);
        printf("%8" PRIu32 " %9.3g %9.3g %+9.2f %9.2g %s\n", ranked[i].feature, ranked[i].mean[0],
               ranked[i].mean[1], ranked[i].effect, ranked[i].p, label);
    }
    printf("\neffect: difference of means by the pooled standard deviation (Cohen's d)\n"
           "p: of %lld shuffles those in which any feature's effect is as large\n",
           shuffles);
}

static void print_ranked_json(const struct trace *t, const struct prompts *p,
                              const struct contrast *ranked, size_t count, long long shuffles)
{
    json_t *list = json_array(), *object = json_object();
    for (size_t i = 0; i < count; i++) {
        json_t *one = json_object();
        json_put_count(one, "feature", ranked[i].feature);
        json_put_text(one, "label", labels_of(&t->labels, ranked[i].feature));
        json_put_number(one, "mean_these", ranked[i].mean[0]);
        json_put_number(one, "mean_others", ranked[i].mean[1]);
        json_put_number(one, "effect", ranked[i].effect);
        json_put_number(one, "p", ranked[i].p);
        json_array_append_new(list, one);
    }
    json_put_text(object, "sae", t->subject.name);
    json_put_count(object, "prompts_these", p->size[0]);
    json_put_count(object, "prompts_others", p->size[1]);
    json_put_count(object, "shuffles", (uint64_t)shuffles);
    json_put(object, "features", list);
    shown_json(object, 7);
}

static int rank(struct trace *t, const struct prompts *p, const float *values)
{
    long long shuffles, seed;
    struct contrast *ranked;
    size_t count;
    int result = options_number(t->options, "shuffles", 1, MOST_SHUFFLES, 1000, &shuffles);
    if (result == ERR_OK) result = options_number(t->options, "seed", 0, INT64_MAX, 0, &seed);
    if (result == ERR_OK)
        result = contrast_rank(values, p->group, p->count, subject_features(&t->subject),
                               (uint32_t)shuffles, (uint64_t)seed, &ranked, &count);
    if (result != ERR_OK) return result;
    if (count > t->top) count = t->top;
    if (t->json)
        print_ranked_json(t, p, ranked, count, shuffles);
    else
        print_ranked(t, p, ranked, count, shuffles);
    free(ranked);
    return ERR_OK;
}

int trace_groups(struct trace *t, const char *these, const char *against)
{
    struct prompts p;
    int result = read_prompts(these, against, &p);
    float *values = NULL;
    if (result == ERR_OK) {
        values = calloc(p.count * subject_features(&t->subject), sizeof *values);
        if (!values) result = err_set(ERR_NOMEM, "no memory for %zu prompts", p.count);
    }
    if (result == ERR_OK) result = read_values(t, &p, values);
    if (result == ERR_OK) result = rank(t, &p, values);
    free(values);
    prompts_free(&p);
    return result;
}
