/* `sluice sweep`: a pipeline with many autoencoders, and how they compare. */
#include "base/err.h"
#include "base/fileio.h"
#include "cli/commands.h"
#include "cli/outcome.h"
#include "cli/progress.h"
#include "cli/remarks.h"
#include "cli/report.h"
#include "cli/scaling.h"
#include "cli/up.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = CONFIG_PATH_BYTES + 32 };

/* ---- the table, for people ---- */

static void cell(FILE *out, int width, const char *format, double x)
{
    char text[48];
    snprintf(text, sizeof text, format, x);
    fprintf(out, "  %*s", width, isfinite(x) ? text : "-");
}

static void grouped(FILE *out, int width, double x)
{
    char text[48];
    progress_number(x, text, sizeof text);
    fprintf(out, "  %*s", width, text);
}

static void sparsity(FILE *out, const struct outcome *o)
{
    char text[48] = "-";
    if (isfinite(o->k)) snprintf(text, sizeof text, "k %.0f", o->k);
    if (isfinite(o->lambda)) snprintf(text, sizeof text, "lambda %g", o->lambda);
    if (isfinite(o->target_l0)) snprintf(text, sizeof text, "L0 %g", o->target_l0);
    fprintf(out, "  %13s", text);
}

static void print_table(const struct outcomes *all, FILE *out)
{
    int wide = 3, wide_arch = 10;
    for (size_t i = 0; i < all->count; i++) {
        if ((int)strlen(all->one[i].name) > wide) wide = (int)strlen(all->one[i].name);
        if ((int)strlen(all->one[i].arch) > wide_arch) wide_arch = (int)strlen(all->one[i].arch);
    }
    fprintf(out, "%-*s  %-*s  %9s  %13s  %9s  %6s  %13s  %9s  %10s  %7s  %7s  %7s\n", wide, "sae",
            wide_arch, "arch", "features", "k, lambda, L0", "lr", "seed", "rows", "FLOPs", "loss",
            "FVE", "L0", "dead");
    for (size_t i = 0; i < all->count; i++) {
        const struct outcome *o = &all->one[i];
        fprintf(out, "%-*s  %-*s", wide, o->name, wide_arch, o->arch);
        grouped(out, 9, o->features);
        sparsity(out, o);
        cell(out, 9, "%.3g", o->lr);
        cell(out, 6, "%.0f", o->seed);
        grouped(out, 13, o->rows);
        cell(out, 9, "%.2e", o->flops);
        cell(out, 10, "%.4g", o->loss);
        cell(out, 7, "%.4f", o->fve);
        cell(out, 7, "%.1f", o->l0);
        cell(out, 6, "%.1f", 100 * o->dead / o->features);
        fputs("%\n", out);
    }
}

/* ---- the files ---- */

static void column(FILE *out, double x)
{
    if (isfinite(x))
        fprintf(out, "\t%.10g", x);
    else
        fputs("\t-", out);
}

static int write_table(const struct outcomes *all, FILE *out)
{
    fputs("sae\tarch\tfeatures\tk\tlambda\tlr\tdecoder_lr_factor\tseed\trows\tflops\tloss\tmse\t"
          "fve\tl0\tdead\tchanges\n",
          out);
    for (size_t i = 0; i < all->count; i++) {
        const struct outcome *o = &all->one[i];
        const double values[] = {o->features, o->k,    o->lambda, o->lr,   o->decoder_lr_factor,
                                 o->seed,     o->rows, o->flops,  o->loss, o->mse,
                                 o->fve,      o->l0,   o->dead};
        fprintf(out, "%s\t%s", o->name, o->arch);
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) column(out, values[v]);
        fprintf(out, "\t%s\n", o->changes);
    }
    return ERR_OK;
}

/* Write RUN/CONSUMER/`name` by `write`, and say so. */
static int write_file(const struct config *config, const struct outcomes *all, const char *name,
                      const char *what, int (*write)(const struct outcomes *all, FILE *out),
                      FILE *say)
{
    char dir[CONFIG_PATH_BYTES], path[PATH_BYTES], *text = NULL;
    size_t bytes = 0;
    int result = config_consumer_dir(config, all->consumer, dir);
    if (result != ERR_OK) return result;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *out = open_memstream(&text, &bytes);
    if (!out) return err_set(ERR_NOMEM, "no memory for %s", path);
    result = write(all, out);
    if (fclose(out) != 0 && result == ERR_OK) result = err_set(ERR_NOMEM, "no memory for %s", path);
    if (result == ERR_OK) result = file_replace(path, text, bytes);
    free(text);
    if (result == ERR_OK) fprintf(say, "  %-10s  %s\n", what, path);
    return result;
}

static int report_consumer(const struct config *config, const char *consumer, FILE *out)
{
    struct outcomes all;
    int result = outcomes_read(config, consumer, &all);
    if (result != ERR_OK) return result;
    print_table(&all, out);
    report_rows(all.summary, out);
    remarks_print(all.summary, out);
    result = write_file(config, &all, "sweep.tsv", "results", write_table, out);
    if (result == ERR_OK)
        result = write_file(config, &all, "scaling.svg", "picture", scaling_draw, out);
    outcomes_free(&all);
    return result;
}

/* Each consumer has its own rows, table and files. */
static int report_sweep(const struct config *config, FILE *out)
{
    const struct config_list *consumers = &config->trainer.consumers;
    int result = ERR_OK;
    for (uint32_t i = 0; i < consumers->count && result == ERR_OK; i++) {
        if (consumers->count > 1) fprintf(out, "%s%s:\n", i ? "\n" : "", consumers->item[i]);
        result = report_consumer(config, consumers->item[i], out);
    }
    if (result == ERR_OK) report_left_out(config, out);
    return result;
}

int sweep_command(const struct options *options, const struct config *config)
{
    return up_run(options, config, report_sweep);
}
