/* `sluice features`: what a feature index tells. */
#include "cli/features.h"

#include "base/err.h"
#include "base/json_put.h"
#include "cli/commands.h"
#include "cli/pace.h"
#include "cli/shown.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void features_token(const struct features *x, int64_t token, char *out)
{
    size_t bytes;
    const char *text = index_token(&x->index, token, &bytes);
    if (text && bytes)
        shown_text(text, bytes, out, FEATURES_TEXT_BYTES);
    else
        snprintf(out, FEATURES_TEXT_BYTES, "#%" PRId64, token);
}

void features_label(const struct features *x, uint32_t feature, char *out, size_t bytes)
{
    const char *text = labels_of(&x->labels, feature);
    out[0] = '\0';
    if (text) shown_text(text, strlen(text), out, bytes);
}

int features_open(const struct options *options, struct features *x)
{
    *x = (struct features){0};
    int result = index_open(options->file, &x->index);
    if (result != ERR_OK) return result;
    result = labels_read(options->file, x->index.facts.features, &x->labels);
    if (result != ERR_OK) index_close(&x->index);
    x->json = options_get(options, "json") != NULL;
    x->colour = shown_colour(stdout);
    return result;
}

void features_close(struct features *x)
{
    labels_free(&x->labels);
    index_close(&x->index);
}

static int which(const struct features *x, const char *text, uint32_t *feature)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || n >= x->index.facts.features)
        return err_set(ERR_USAGE, "%s has no feature %.40s; HINT: it has 0 to %u", x->index.folder,
                       text, x->index.facts.features - 1);
    *feature = (uint32_t)n;
    return ERR_OK;
}

/* ---- lines ---- */

static double density(const struct features *x, uint32_t f)
{
    return (double)x->index.entry[f].rows / (double)x->index.facts.kept_rows;
}

static void print_line(const struct features *x, uint32_t f)
{
    const struct index_entry *e = &x->index.entry[f];
    char token[FEATURES_TEXT_BYTES] = "", label[LABELS_MOST_BYTES + 1];
    if (e->token >= 0) features_token(x, e->token, token);
    features_label(x, f, label, sizeof label);
    printf("%8u %10.4f%% %10.4g %10.4g  %-20s  %s\n", f, 100 * density(x, f), (double)e->largest,
           (double)e->mean, token, label);
}

/* The token's text as it is where that is UTF-8, else as a person sees it. */
static void put_token(const struct features *x, json_t *o, int64_t token)
{
    size_t bytes;
    const char *text = index_token(&x->index, token, &bytes);
    char shown[FEATURES_TEXT_BYTES];
    json_t *value = text ? json_stringn(text, bytes) : NULL;
    if (!value && text) {
        features_token(x, token, shown);
        value = json_string(shown);
    }
    json_put(o, "text", value ? value : json_null());
}

static json_t *line_json(const struct features *x, uint32_t f)
{
    const struct index_entry *e = &x->index.entry[f];
    json_t *o = json_object();
    json_put_count(o, "feature", f);
    json_put_count(o, "rows", e->rows);
    json_put_number(o, "density", density(x, f));
    json_put_number(o, "largest", (double)e->largest);
    json_put_number(o, "mean", (double)e->mean);
    json_put(o, "token", e->token >= 0 ? json_integer(e->token) : json_null());
    put_token(x, o, e->token);
    json_put_text(o, "label", labels_of(&x->labels, f));
    return o;
}

static void print_lines(const struct features *x, const uint32_t *feature, size_t count)
{
    if (x->json) {
        json_t *list = json_array();
        for (size_t i = 0; i < count; i++) json_array_append_new(list, line_json(x, feature[i]));
        shown_json(list, 7);
        return;
    }
    printf("%8s %11s %10s %10s  %-20s  %s\n", "feature", "density", "largest", "mean",
           "strongest token", "label");
    for (size_t i = 0; i < count; i++) print_line(x, feature[i]);
}

/* ---- list ---- */

static const struct index_entry *sorted_by; /* qsort() passes nothing to its comparison */

static int by_feature(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int by_density(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    uint64_t m = sorted_by[x].rows, n = sorted_by[y].rows;
    return m != n ? (m < n ? 1 : -1) : by_feature(x, y);
}

static int by_largest(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    float m = sorted_by[x].largest, n = sorted_by[y].largest;
    return m != n ? (m < n ? 1 : -1) : by_feature(x, y);
}

static int list(const struct features *x, const char *sort, uint32_t top)
{
    uint32_t features = x->index.facts.features;
    int is_by_largest = strcmp(sort, "largest") == 0;
    uint32_t *all = malloc(((size_t)features + 1) * sizeof *all);
    if (!all) return err_set(ERR_NOMEM, "no memory for a list");
    for (uint32_t f = 0; f < features; f++) all[f] = f;
    sorted_by = x->index.entry;
    if (strcmp(sort, "feature") != 0)
        qsort(all, features, sizeof *all, is_by_largest ? by_largest : by_density);
    print_lines(x, all, top && top < features ? top : features);
    free(all);
    return ERR_OK;
}

int features_list_command(const struct options *options, const struct config *config)
{
    struct features x;
    const char *sort = options_get(options, "sort");
    long long top;
    (void)config;
    if (!sort) sort = "density";
    if (strcmp(sort, "density") != 0 && strcmp(sort, "largest") != 0 &&
        strcmp(sort, "feature") != 0)
        return err_set(ERR_USAGE, "--sort %.40s is not density, largest or feature", sort);
    int result = options_number(options, "top", 0, INDEX_MOST_FEATURES, 20, &top);
    if (result == ERR_OK) result = features_open(options, &x);
    if (result != ERR_OK) return result;
    result = list(&x, sort, (uint32_t)top);
    features_close(&x);
    return result;
}

/* ---- show, neighbours ---- */

static int open_sheet(const struct options *options, struct features *x, uint32_t *feature,
                      json_t **sheet)
{
    int result = features_open(options, x);
    if (result != ERR_OK) return result;
    result = which(x, options->arguments[0], feature);
    if (result == ERR_OK) result = index_sheet(&x->index, *feature, sheet);
    if (result != ERR_OK) features_close(x);
    return result;
}

int features_show_command(const struct options *options, const struct config *config)
{
    struct features x;
    uint32_t feature;
    json_t *sheet;
    long long contexts;
    (void)config;
    int result = options_number(options, "contexts", 0, 1000, 8, &contexts);
    if (result == ERR_OK) result = open_sheet(options, &x, &feature, &sheet);
    if (result != ERR_OK) return result;
    if (x.json) {
        json_put_text(sheet, "label", labels_of(&x.labels, feature));
        shown_json(json_incref(sheet), 7);
    } else {
        features_print_sheet(&x, sheet, (uint32_t)contexts);
    }
    json_decref(sheet);
    features_close(&x);
    return ERR_OK;
}

int features_neighbours_command(const struct options *options, const struct config *config)
{
    struct features x;
    uint32_t feature;
    json_t *sheet;
    (void)config;
    int result = open_sheet(options, &x, &feature, &sheet);
    if (result != ERR_OK) return result;
    if (x.json)
        shown_json(json_pack("{s:I, s:O, s:O}", "feature", (json_int_t)feature, "together",
                             json_object_get(sheet, "together"), "alike",
                             json_object_get(sheet, "alike")),
                   7);
    else
        features_print_neighbours(&x, sheet);
    json_decref(sheet);
    features_close(&x);
    return ERR_OK;
}

/* ---- search, label ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int holds(const char *text, size_t bytes, const char *part)
{
    size_t n = strlen(part);
    for (size_t at = 0; text && at + n <= bytes; at++) {
        size_t i = 0;
        while (i < n && lower(text[at + i]) == lower(part[i])) i++;
        if (i == n) return 1;
    }
    return 0;
}

/* Whether the text of a token that the sheet promotes has the part in it. */
static int promotes(const struct features *x, const json_t *sheet, const char *part)
{
    const json_t *list = json_object_get(sheet, "promotes"), *o;
    size_t i, bytes = 0;
    json_array_foreach(list, i, o)
    {
        json_int_t token = json_integer_value(json_object_get(o, "token"));
        const char *text = index_token(&x->index, token, &bytes);
        if (holds(text, bytes, part)) return 1;
    }
    return 0;
}

enum match { MATCH_NONE, MATCH_PROMOTES, MATCH_FIRES };

static int matches(const struct features *x, uint32_t f, const char *part, enum match *match)
{
    size_t bytes = 0;
    const char *label = labels_of(&x->labels, f);
    const char *token = index_token(&x->index, x->index.entry[f].token, &bytes);
    json_t *sheet;
    *match = MATCH_FIRES;
    if ((label && holds(label, strlen(label), part)) || holds(token, bytes, part)) return ERR_OK;
    int result = index_sheet(&x->index, f, &sheet);
    if (result != ERR_OK) return result;
    *match = promotes(x, sheet, part) ? MATCH_PROMOTES : MATCH_NONE;
    json_decref(sheet);
    return ERR_OK;
}

/* Those that fire at it come first, then those that promote it alone: found[features], *fire and *all
 * of them. */
static int find(const struct features *x, const char *part, uint32_t *found, uint32_t *fire,
                uint32_t *all)
{
    uint32_t features = x->index.facts.features, last = features;
    struct pace pace = {0};
    enum match match;
    *fire = 0;
    for (uint32_t f = 0; f < features; f++) {
        int result = matches(x, f, part, &match);
        if (result != ERR_OK) return result;
        if (match == MATCH_FIRES) found[(*fire)++] = f;
        if (match == MATCH_PROMOTES) found[--last] = f; /* from the end on */
        if (pace_due(&pace, 1, 0))
            pace_tell(&pace, 0, "sluice: %u of %u features searched", f, features);
    }
    pace_end(&pace);
    memmove(found + *fire, found + last, (features - last) * sizeof *found);
    *all = *fire + features - last;
    sorted_by = x->index.entry;
    qsort(found, *fire, sizeof *found, by_density);
    qsort(found + *fire, *all - *fire, sizeof *found, by_density);
    return ERR_OK;
}

static int search(const struct features *x, const char *part, uint32_t top)
{
    uint32_t fire, all;
    uint32_t *found = malloc(((size_t)x->index.facts.features + 1) * sizeof *found);
    if (!found) return err_set(ERR_NOMEM, "no memory for a list");
    int result = find(x, part, found, &fire, &all);
    if (result == ERR_OK) print_lines(x, found, top && top < all ? top : all);
    if (result == ERR_OK && !x->json)
        printf("%u fire most at it, or have it in their label; %u more promote it%s\n", fire,
               all - fire, top && top < all ? "; --top 0 tells all" : "");
    free(found);
    return result;
}

int features_search_command(const struct options *options, const struct config *config)
{
    struct features x;
    long long top;
    (void)config;
    if (!options->arguments[0][0]) return err_set(ERR_USAGE, "there is nothing to search for");
    int result = options_number(options, "top", 0, INDEX_MOST_FEATURES, 20, &top);
    if (result == ERR_OK) result = features_open(options, &x);
    if (result != ERR_OK) return result;
    result = search(&x, options->arguments[0], (uint32_t)top);
    features_close(&x);
    return result;
}

int features_label_command(const struct options *options, const struct config *config)
{
    struct features x;
    uint32_t feature;
    (void)config;
    int result = features_open(options, &x);
    if (result != ERR_OK) return result;
    result = which(&x, options->arguments[0], &feature);
    if (result == ERR_OK)
        result = labels_set(options->file, x.index.facts.features, feature, options->arguments[1]);
    features_close(&x);
    return result;
}
