/* A feature's sheet in the terminal. The sheet was checked when it was read (inspect/sheet.h). */
#include "cli/features.h"
#include "cli/shown.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BAR_COLUMNS = 40 };

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

/* ---- contexts ---- */

/* What was left out, or is missing, is a gap: what stands beside it did not touch. */
static void print_piece(const struct features *x, const json_t *token, const json_t *value,
                        double largest, int is_centre)
{
    char text[FEATURES_TEXT_BYTES];
    double v = json_number_value(value);
    if (json_is_null(token) || json_is_null(value)) {
        fputs(" [...] ", stdout);
        return;
    }
    features_token(x, json_integer_value(token), text);
    if (!x->index.token_at) putchar(' ');
    if (is_centre && !x->colour) fputs(">>", stdout);
    printf("%s%s%s", v > 0 && largest > 0 ? shown_heat(x->colour, v / largest) : "", text,
           v > 0 ? shown_plain(x->colour) : "");
    if (is_centre && !x->colour) fputs("<<", stdout);
}

static void print_context(const struct features *x, const json_t *context, double largest)
{
    const json_t *tokens = json_object_get(context, "tokens"), *token;
    const json_t *values = json_object_get(context, "values");
    size_t i, at = (size_t)json_integer_value(json_object_get(context, "at"));
    printf("  %9.4g  ", json_number_value(json_array_get(values, at)));
    json_array_foreach(tokens, i, token)
        print_piece(x, token, json_array_get(values, i), largest, i == at);
    putchar('\n');
}

static uint32_t print_contexts(const struct features *x, const json_t *list, double largest,
                               uint32_t most)
{
    const json_t *context;
    size_t i;
    json_array_foreach(list, i, context)
    {
        if (i == most) return most;
        print_context(x, context, largest);
    }
    return (uint32_t)i;
}

/* ---- the whole ---- */

static void print_histogram(const json_t *sheet, double largest)
{
    const json_t *list = json_object_get(sheet, "histogram"), *count;
    char bar[4 * BAR_COLUMNS + 8];
    size_t i, bins = json_array_size(list);
    double most = 0;
    json_array_foreach(list, i, count) if (json_number_value(count) > most) most =
        json_number_value(count);
    if (!(most > 0)) return;
    printf("\nvalues (rows)\n");
    json_array_foreach(list, i, count)
    {
        shown_bar(json_number_value(count) / most, BAR_COLUMNS, bar, sizeof bar);
        printf("  %9.4g %9" PRId64 "  %s\n", largest * (double)i / (double)bins,
               (int64_t)json_integer_value(count), bar);
    }
}

static void print_head(const struct features *x, const json_t *sheet, const char *of)
{
    uint32_t f = (uint32_t)json_integer_value(json_object_get(sheet, "feature"));
    char label[LABELS_MOST_BYTES + 1];
    features_label(x, f, label, sizeof label);
    printf("feature %u%s%s%s\n", f, of, label[0] ? ": " : "", label);
    printf("fires at %.4f%% of %" PRIu64 " tokens, %.4g at most, %.4g in the mean\n",
           100 * number(sheet, "density"), x->index.facts.kept_rows, number(sheet, "largest"),
           number(sheet, "mean"));
}

void features_print_strongest(const struct features *x, const json_t *sheet, uint32_t contexts)
{
    print_head(x, sheet, "");
    print_contexts(x, json_object_get(sheet, "top"), number(sheet, "largest"), contexts);
}

/* Tokens with what a value of 1 adds to their logits; nothing where it is not known. */
static void print_promoted(const struct features *x, const char *title, const json_t *list)
{
    const json_t *o;
    size_t i;
    if (!json_is_array(list)) return;
    printf("%s (logit)\n ", title);
    json_array_foreach(list, i, o)
    {
        char text[FEATURES_TEXT_BYTES];
        features_token(x, json_integer_value(json_object_get(o, "token")), text);
        printf("%s'%s' %+.3g", i ? ", " : " ", text, number(o, "logit"));
    }
    putchar('\n');
}

/* Where it fires: values, the strongest contexts, samples of the intervals. */
static void print_where(const struct features *x, const json_t *sheet, uint32_t contexts)
{
    const json_t *intervals = json_object_get(sheet, "intervals"), *o;
    double largest = number(sheet, "largest");
    print_histogram(sheet, largest);
    printf("\nstrongest\n");
    print_contexts(x, json_object_get(sheet, "top"), largest, contexts);
    for (size_t i = json_array_size(intervals); i-- > 0;) {
        o = json_array_get(intervals, i);
        printf("\n%.4g to %.4g (%" PRId64 " rows)\n", number(o, "from"), number(o, "to"),
               (int64_t)json_integer_value(json_object_get(o, "rows")));
        print_contexts(x, json_object_get(o, "samples"), largest, contexts);
    }
}

void features_print_sheet(const struct features *x, const json_t *sheet, uint32_t contexts)
{
    char name[SUBJECT_NAME_BYTES], of[SUBJECT_NAME_BYTES + 8];
    shown_text(x->index.facts.name, strlen(x->index.facts.name), name, sizeof name);
    snprintf(of, sizeof of, " of %s", name);
    print_head(x, sheet, of);
    if (number(sheet, "largest") > 0) print_where(x, sheet, contexts);
    putchar('\n');
    print_promoted(x, "makes likelier", json_object_get(sheet, "promotes"));
    print_promoted(x, "makes less likely", json_object_get(sheet, "suppresses"));
    features_print_neighbours(x, sheet);
}

static void print_list(const struct features *x, const json_t *list, const char *score)
{
    const json_t *o;
    size_t i;
    json_array_foreach(list, i, o)
    {
        uint32_t f = (uint32_t)json_integer_value(json_object_get(o, "feature"));
        char label[LABELS_MOST_BYTES + 1], token[FEATURES_TEXT_BYTES] = "";
        features_label(x, f, label, sizeof label);
        if (x->index.entry[f].token >= 0) features_token(x, x->index.entry[f].token, token);
        printf("  %8u %8.3f  %-20s  %s\n", f, number(o, score), token, label);
    }
}

void features_print_neighbours(const struct features *x, const json_t *sheet)
{
    printf("fire at the same tokens (PMI)\n");
    print_list(x, json_object_get(sheet, "together"), "pmi");
    printf("directions alike (cosine)\n");
    print_list(x, json_object_get(sheet, "alike"), "cosine");
}
