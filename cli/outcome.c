#include "cli/outcome.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "cli/remarks.h"
#include "cli/report.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 10, PATH_BYTES = CONFIG_PATH_BYTES + 32 };

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void text(const json_t *object, const char *key, char *out, size_t bytes)
{
    const char *value = json_string_value(json_object_get(object, key));
    snprintf(out, bytes, "%s", value ? value : "-");
}

/* "topk", "crosscoder/topk" */
static void kind(const json_t *sae, char *out, size_t bytes)
{
    char arch[24], activation[24];
    text(sae, "arch", arch, sizeof arch);
    text(sae, "activation", activation, sizeof activation);
    int same = strcmp(activation, "-") == 0 || strcmp(arch, activation) == 0;
    snprintf(out, bytes, "%s%s%s", arch, same ? "" : "/", same ? "" : activation);
}

static char *changes_of(const json_t *summary, const json_t *sae)
{
    json_t *all = json_array();
    json_array_extend(all, json_object_get(summary, "changes"));
    json_array_extend(all, json_object_get(sae, "changes"));
    char *cell = remarks_cell(all);
    json_decref(all);
    return cell;
}

static int take(const json_t *summary, const json_t *sae, struct outcome *o)
{
    text(sae, "name", o->name, sizeof o->name);
    kind(sae, o->arch, sizeof o->arch);
    o->features = number(sae, "features");
    o->lambda = number(sae, "lambda");
    o->target_l0 = number(sae, "target_l0");
    o->k = number(sae, "k");
    o->lr = number(sae, "lr");
    o->decoder_lr_factor = number(sae, "decoder_lr_factor");
    o->seed = number(sae, "seed");
    o->rows = number(summary, "rows");
    o->flops = number(sae, "flops");
    o->loss = number(sae, "loss");
    o->mse = number(sae, "mse");
    o->fve = number(sae, "fve");
    o->l0 = number(sae, "l0");
    o->dead = number(sae, "dead");
    o->changes = changes_of(summary, sae);
    return o->changes ? ERR_OK : err_set(ERR_NOMEM, "no memory for the results");
}

static int take_all(const json_t *summary, struct outcomes *all)
{
    const json_t *saes = json_object_get(summary, "saes");
    const json_t *sae;
    size_t i;
    text(summary, "stream", all->stream, sizeof all->stream);
    text(summary, "consumer", all->consumer, sizeof all->consumer);
    all->evaluated_rows = number(summary, "evaluated_rows");
    if (json_array_size(saes) > CONFIG_MAX_SAES)
        return err_set(ERR_FORMAT, "the summary of %s has more than %d autoencoders", all->consumer,
                       CONFIG_MAX_SAES);
    all->one = calloc(json_array_size(saes) + 1, sizeof *all->one);
    if (!all->one) return err_set(ERR_NOMEM, "no memory for the results");
    json_array_foreach(saes, i, sae)
    {
        const char *arch = json_string_value(json_object_get(sae, "arch"));
        if (!arch || strcmp(arch, "count") == 0) continue;
        int result = take(summary, sae, &all->one[all->count++]);
        if (result != ERR_OK) return result;
    }
    return ERR_OK;
}

/* The columns of a line, which is cut into them; how many there are. */
static int split(char *line, char **column)
{
    int n = 0;
    for (char *at = line; at && n < COLUMNS; n++) column[n] = strsep(&at, "\t\n");
    return n;
}

static struct outcome *find(struct outcomes *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->one[i].name, name) == 0) return &all->one[i];
    return NULL;
}

static int add_point(struct outcome *o, double flops, double fve)
{
    if ((o->points & (o->points - 1)) == 0) { /* full at each power of two */
        size_t room = o->points ? 2 * o->points : 1;
        struct outcome_point *grown = realloc(o->point, room * sizeof *grown);
        if (!grown) return err_set(ERR_NOMEM, "no memory for the results");
        o->point = grown;
    }
    o->point[o->points++] = (struct outcome_point){flops, fve};
    return ERR_OK;
}

/* A line's point, where it has one: at no compute there is none on a logarithmic axis. */
static int read_point(char **column, struct outcomes *all)
{
    struct outcome *o = find(all, column[3]);
    double flops = strtod(column[4], NULL), fve = strtod(column[7], NULL);
    if (!o || strcmp(column[7], "-") == 0) return ERR_OK;
    return flops > 0 && isfinite(flops) && isfinite(fve) ? add_point(o, flops, fve) : ERR_OK;
}

/* step, rows, seconds, sae, flops, loss, mse, fve, l0, dead, and what younger builds put behind: as
 * the trainer writes it, below a line of these names, any of which an autoencoder may have too. */
static int read_history(const char *path, struct outcomes *all)
{
    FILE *in;
    if (own_stream(path, &in) != ERR_OK)
        return err_set(ERR_NOTFOUND, "%s; HINT: `sluice up` shows the results without it",
                       err_text());
    char *line = NULL, *column[COLUMNS];
    size_t room = 0;
    int result = ERR_OK, head = 1;
    for (; result == ERR_OK && getline(&line, &room, in) > 0; head = 0) {
        if (split(line, column) < COLUMNS)
            result = err_set(ERR_FORMAT, "%s has a line of fewer than %d columns", path, COLUMNS);
        else if (!head)
            result = read_point(column, all);
    }
    free(line);
    fclose(in);
    return result;
}

static int best_first(const void *a, const void *b)
{
    const struct outcome *x = a, *y = b;
    double fx = isnan(x->fve) ? -INFINITY : x->fve, fy = isnan(y->fve) ? -INFINITY : y->fve;
    if (fx != fy) return fx < fy ? 1 : -1;
    return strcmp(x->name, y->name);
}

int outcomes_read(const struct config *config, const char *consumer, struct outcomes *outcomes)
{
    char dir[CONFIG_PATH_BYTES], path[PATH_BYTES];
    struct outcomes all = {0};
    int result = report_summary(config, consumer, &all.summary);
    if (result == ERR_OK) result = take_all(all.summary, &all);
    if (result == ERR_OK) result = config_consumer_dir(config, consumer, dir);
    if (result == ERR_OK) {
        snprintf(path, sizeof path, "%s/history.tsv", dir);
        result = read_history(path, &all);
    }
    if (result != ERR_OK) {
        outcomes_free(&all);
        return result;
    }
    qsort(all.one, all.count, sizeof *all.one, best_first);
    *outcomes = all;
    return ERR_OK;
}

void outcomes_free(struct outcomes *all)
{
    for (size_t i = 0; i < all->count; i++) {
        free(all->one[i].point);
        free(all->one[i].changes);
    }
    free(all->one);
    json_decref(all->summary);
    *all = (struct outcomes){0};
}
