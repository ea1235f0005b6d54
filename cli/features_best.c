/* `sluice features best`: a few features that are worth a first look (inspect/choice.h). */
#include "base/err.h"
#include "base/json_put.h"
#include "cli/commands.h"
#include "cli/features.h"
#include "cli/shown.h"
#include "inspect/choice.h"

#include <stdio.h>

/* The different tokens at its strongest contexts. */
static void print_words(const struct features *x, const json_t *sheet)
{
    const json_t *top = json_object_get(sheet, "top"), *context;
    int64_t told[CHOICE_CONTEXTS];
    size_t i, count = 0;
    json_array_foreach(top, i, context)
    {
        const json_t *tokens = json_object_get(context, "tokens");
        size_t at = (size_t)json_integer_value(json_object_get(context, "at")), k = 0;
        int64_t token = json_integer_value(json_array_get(tokens, at));
        char text[FEATURES_TEXT_BYTES];
        if (i == CHOICE_CONTEXTS) break;
        while (k < count && told[k] != token) k++;
        if (k < count) continue;
        told[count++] = token;
        features_token(x, token, text);
        printf("%s%s", count > 1 ? "," : "at", text);
    }
    putchar('\n');
}

static int print_one(const struct features *x, uint32_t feature, uint32_t contexts)
{
    json_t *sheet;
    int result = index_sheet(&x->index, feature, &sheet);
    if (result != ERR_OK) return result;
    putchar('\n');
    features_print_strongest(x, sheet, contexts);
    print_words(x, sheet);
    json_decref(sheet);
    return ERR_OK;
}

static int print_json(const struct features *x, const uint32_t *feature, uint32_t count)
{
    json_t *list = json_array(), *sheet;
    int result = ERR_OK;
    for (uint32_t i = 0; i < count && result == ERR_OK; i++) {
        result = index_sheet(&x->index, feature[i], &sheet);
        if (result != ERR_OK) break;
        json_put_text(sheet, "label", labels_of(&x->labels, feature[i]));
        json_array_append_new(list, sheet);
    }
    if (result == ERR_OK)
        shown_json(list, 7);
    else
        json_decref(list);
    return result;
}

static int print_all(const struct features *x, const uint32_t *feature, uint32_t count,
                     uint32_t contexts)
{
    int result = ERR_OK;
    if (count == 0) {
        printf("none of %u features passes the rule (%s); `sluice features list %s` shows all\n",
               x->index.facts.features, CHOICE_RULE, x->index.folder);
        return ERR_OK;
    }
    printf("%u of %u features, chosen for a first look: each %s\n", count, x->index.facts.features,
           CHOICE_RULE);
    for (uint32_t i = 0; i < count && result == ERR_OK; i++)
        result = print_one(x, feature[i], contexts);
    return result;
}

int features_best_command(const struct options *options, const struct config *config)
{
    struct features x;
    uint32_t chosen[CHOICE_MOST], count;
    long long top, contexts;
    (void)config;
    int result = options_number(options, "top", 1, CHOICE_MOST, 5, &top);
    if (result == ERR_OK) result = options_number(options, "contexts", 0, 1000, 3, &contexts);
    if (result == ERR_OK) result = features_open(options, &x);
    if (result != ERR_OK) return result;
    result = choice_make(&x.index, (uint32_t)top, chosen, &count);
    if (result == ERR_OK)
        result = x.json ? print_json(&x, chosen, count)
                        : print_all(&x, chosen, count, (uint32_t)contexts);
    features_close(&x);
    return result;
}
