#include "cli/remarks.h"

#include "cli/progress.h"

#include <stdlib.h>
#include <string.h>

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "-";
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* A setting's value, as people write it: 0.002, 512, "-" for an empty name. One line, one cell. */
static void print_value(const json_t *value, FILE *out)
{
    const char *name = json_string_value(value);
    if (!name) fprintf(out, "%.10g", json_number_value(value));
    if (name && !name[0]) fputc('-', out);
    for (; name && *name; name++) fputc((unsigned char)*name < ' ' ? ' ' : *name, out);
}

/* All changes of the key of the i-th, which is the first of that key, in one line. */
static void print_key(const json_t *changes, size_t i, const char *of, FILE *out)
{
    const char *key = text(json_array_get(changes, i), "key");
    fprintf(out, "  %s: %s was ", of, key);
    print_value(json_object_get(json_array_get(changes, i), "old"), out);
    for (size_t j = i; j < json_array_size(changes); j++) {
        const json_t *change = json_array_get(changes, j);
        char rows[32], steps[32];
        if (strcmp(text(change, "key"), key) != 0) continue;
        progress_number(number(change, "from_rows"), rows, sizeof rows);
        progress_number(number(change, "from_step"), steps, sizeof steps);
        fprintf(out, " up to step %s (%s rows), then ", steps, rows);
        print_value(json_object_get(change, "new"), out);
    }
    fputc('\n', out);
}

static int is_first_of_key(const json_t *changes, size_t i)
{
    const char *key = text(json_array_get(changes, i), "key");
    for (size_t j = 0; j < i; j++)
        if (strcmp(text(json_array_get(changes, j), "key"), key) == 0) return 0;
    return 1;
}

static void print_changes(const json_t *changes, const char *of, FILE *out)
{
    for (size_t i = 0; i < json_array_size(changes); i++)
        if (is_first_of_key(changes, i)) print_key(changes, i, of, out);
}

/* The trainer warns of 1 % of the steps and more, with what to do; then it is told. */
static int is_warned_of_steps(const json_t *sae)
{
    json_t *warning;
    size_t i;
    json_array_foreach(json_object_get(sae, "warnings"), i, warning)
    {
        const char *words = json_string_value(warning);
        if (words && strstr(words, "steps were left out")) return 1;
    }
    return 0;
}

/* Of rows that were drawn and taught nothing. */
static void print_skipped_steps(const json_t *sae, FILE *out)
{
    char skipped[32];
    if (!(number(sae, "skipped_steps") > 0) || is_warned_of_steps(sae)) return;
    progress_number(number(sae, "skipped_steps"), skipped, sizeof skipped);
    fprintf(out, "  %s: %s steps left out, as their loss or gradient was not finite\n",
            text(sae, "name"), skipped);
}

const char *remarks_no_fve(const json_t *summary)
{
    json_t *sae;
    const char *why = NULL;
    size_t i;
    json_array_foreach(json_object_get(summary, "saes"), i, sae)
    {
        if (json_is_number(json_object_get(sae, "fve"))) return NULL;
        if (!why) why = json_string_value(json_object_get(sae, "no_fve"));
    }
    return why;
}

void remarks_print(const json_t *summary, FILE *out)
{
    json_t *saes = json_object_get(summary, "saes"), *sae, *warning;
    double known = number(summary, "changes_known_from_step");
    size_t i, j;
    if (known > 0)
        fprintf(out, "  %s: changes before step %.0f are not known: an older version made them\n",
                text(summary, "consumer"), known);
    print_changes(json_object_get(summary, "changes"), text(summary, "consumer"), out);
    json_array_foreach(saes, i, sae)
        print_changes(json_object_get(sae, "changes"), text(sae, "name"), out);
    json_array_foreach(saes, i, sae) print_skipped_steps(sae, out);
    json_array_foreach(saes, i, sae) json_array_foreach(json_object_get(sae, "warnings"), j,
                                                        warning) if (json_is_string(warning))
        fprintf(out, "  WARNING: %s: %s\n", text(sae, "name"), json_string_value(warning));
}

char *remarks_cell(const json_t *changes)
{
    char *cell = NULL;
    size_t bytes, i;
    FILE *out = open_memstream(&cell, &bytes);
    json_t *change;
    if (!out) return NULL;
    json_array_foreach(changes, i, change)
    {
        fprintf(out, "%s%s:", i ? " " : "", text(change, "key"));
        print_value(json_object_get(change, "old"), out);
        fputc('>', out);
        print_value(json_object_get(change, "new"), out);
        fprintf(out, "@%.0f", number(change, "from_step"));
    }
    if (json_array_size(changes) == 0) fputc('-', out);
    if (fclose(out) == 0) return cell;
    free(cell);
    return NULL;
}
