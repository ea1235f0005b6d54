/* `sluice eval`: how true autoencoders are to the model, in one table. */
#include "base/err.h"
#include "base/json_put.h"
#include "cli/commands.h"
#include "cli/pace.h"
#include "cli/shown.h"
#include "cli/subject.h"
#include "config/config.h"
#include "inspect/contexts.h"
#include "inspect/evaluation.h"
#include "inspect/firing.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BATCH_CONTEXTS = 16, /* whose mean the explained variance of papers is about */
    MOST_CONTEXT = 2048,
    MOST_SAES = 1 + OPTIONS_MAX_ARGUMENTS,
};

struct job {
    const struct options *options;
    uint32_t threads, context_tokens, tokens;
    int splices_first, json, is_brief;
    struct config_list corpus; /* owned */
};

struct verdict { /* of one SAE */
    char name[SUBJECT_NAME_BYTES], hook[64], precision[64], rows_precision[32];
    uint64_t tokens;
    struct fidelity fidelity; /* owned */
};

/* ---- the corpus ---- */

/* As told, else a configuration's own, else what `make model` fetched. */
static int find_corpus(struct job *job)
{
    const char *told = options_get(job->options, "corpus");
    char *name = (char *)(told ? told : "corpus"), *list[1] = {name};
    struct config named = {.capture.corpus = {list, 1}};
    struct config *own = NULL;
    if (told || !subject_is_configuration(job->options->file))
        return config_corpus(&named, &job->corpus);
    int result =
        config_load(job->options->file, job->options->sets, job->options->sets_count, &own);
    if (result != ERR_OK) return result == ERR_NOTFOUND ? ERR_USAGE : result;
    result = config_corpus(own->capture.corpus.count ? own : &named, &job->corpus);
    config_free(own);
    return result;
}

/* ---- running ---- */

static void tell_progress(const struct verdict *v, const struct job *job, struct pace *pace)
{
    int is_last = v->tokens >= job->tokens;
    if (!pace_due(pace, isatty(STDERR_FILENO) ? 1 : 10, is_last)) return;
    pace_tell(pace, is_last, "%s: %" PRIu64 " of %u tokens, %.0f per second", v->name, v->tokens,
              job->tokens, (double)v->tokens / pace_seconds(pace));
}

static int run_contexts(const struct job *job, struct evaluation *e, struct contexts *contexts,
                        struct verdict *v)
{
    const int32_t *tokens;
    uint32_t count, in_batch = 0;
    struct pace pace = {.begun = time(NULL)};
    while (v->tokens < job->tokens) {
        int result = contexts_next(contexts, &tokens, &count);
        if (result != ERR_OK) return result;
        if (count == 0) break;
        result = evaluation_add(e, tokens, count, &v->fidelity);
        if (result != ERR_OK) return result;
        v->tokens += count;
        if (++in_batch % BATCH_CONTEXTS == 0) fidelity_end_batch(&v->fidelity);
        tell_progress(v, job, &pace);
    }
    pace_end(&pace);
    fidelity_end_batch(&v->fidelity);
    if (v->fidelity.all.with_next) return ERR_OK;
    return err_set(ERR_USAGE, "the corpus has no token that predicts another; HINT: --corpus PATH");
}

static int run_player(const struct job *job, struct subject *s, struct llama_player *player,
                      const struct llama_hooks *hooks, struct verdict *v)
{
    struct llama_runner *runner = llama_player_runner(player);
    struct contexts_options options = {.corpus = (const char *const *)job->corpus.item,
                                       .count = job->corpus.count,
                                       .text_field = "text",
                                       .context_tokens = job->context_tokens,
                                       .prepends_bos = s->prepends_bos};
    struct contexts *contexts = NULL;
    struct evaluation *e = NULL;
    snprintf(v->precision, sizeof v->precision, "%s", llama_runner_precision(runner));
    int result = evaluation_open(s, player, hooks, job->context_tokens, job->splices_first, &e);
    if (result == ERR_OK) result = contexts_open(&options, runner, &contexts);
    if (result == ERR_OK) result = fidelity_new(s->width, subject_features(s), &v->fidelity);
    if (result == ERR_OK) result = run_contexts(job, e, contexts, v);
    contexts_close(contexts);
    evaluation_close(e);
    return result;
}

/* The options as they are for one of several SAEs. --set is of the first one's configuration. */
static struct options named(const struct job *job, const char *file)
{
    struct options options = *job->options;
    options.file = file;
    if (file != job->options->file) options.sets_count = 0;
    return options;
}

/* Whether it can be evaluated, as far as that can be told without running a model: it would be a pity
 * to find out after the others have been. */
static int look(const struct job *job, const char *file)
{
    struct options options = named(job, file);
    struct subject s;
    int result = subject_open(&options, &s);
    if (result != ERR_OK) return result;
    result = subject_is_dictionary(&s, "eval");
    subject_close(&s);
    return result;
}

static int evaluate(const struct job *job, const char *file, struct verdict *v)
{
    struct options own = named(job, file);
    struct subject s;
    struct llama_hooks hooks;
    struct llama_player *player;
    char model[SUBJECT_PATH_BYTES];
    int result = subject_open(&own, &s);
    if (result != ERR_OK) return result;
    snprintf(v->name, sizeof v->name, "%s", s.name);
    snprintf(v->hook, sizeof v->hook, "%s", s.hook[0]);
    snprintf(v->rows_precision, sizeof v->rows_precision, "%s", s.precision);
    result = subject_is_dictionary(&s, "eval");
    if (result == ERR_OK) result = subject_model(&own, &s, model);
    if (result == ERR_OK) result = firing_hooks(&s, &hooks);
    struct llama_runner_options options = {
        .path = model, .context_tokens = job->context_tokens, .threads = job->threads};
    struct llama_facts facts;
    if (result == ERR_OK) result = llama_runner_try(&options, &hooks, &facts);
    if (result == ERR_OK) result = llama_player_open(&options, &hooks, &player);
    if (result == ERR_OK) {
        result = run_player(job, &s, player, &hooks, v);
        llama_player_close(player);
    }
    subject_close(&s);
    return result;
}

/* ---- telling ---- */

static void print_table(const struct verdict *v, size_t count)
{
    printf("%-28s %7s %8s %7s %9s %8s %8s %7s %7s %6s %7s %6s\n", "autoencoder", "CE", "spliced",
           "zero", "recovered", "CE more", "KL", "L0", "FVE", "dead", "cosine", "norm");
    for (size_t i = 0; i < count; i++) {
        const struct fidelity *f = &v[i].fidelity;
        const struct fidelity_sums *s = &f->all;
        double rows = (double)s->rows;
        printf("%-28.28s %7.4f %8.4f %7.3f %9.4f %8.4f %8.4f %7.1f %7.4f %5.1f%% %7.4f %6.3f\n",
               v[i].name, fidelity_ce(s, FIDELITY_CLEAN), fidelity_ce(s, FIDELITY_SPLICED),
               fidelity_ce(s, FIDELITY_ZERO), fidelity_ce_recovered(s),
               fidelity_ce(s, FIDELITY_SPLICED) - fidelity_ce(s, FIDELITY_CLEAN),
               fidelity_kl(s, FIDELITY_SPLICED), fidelity_l0(f), fidelity_fve(f),
               100.0 * fidelity_dead(f) / f->features, s->cosine / rows, s->norm_ratio / rows);
    }
}

static void print_variances(const struct verdict *v, size_t count)
{
    printf("\nexplained variance %22s %12s %12s %14s\n", "FVE", "of papers", "SAEBench's",
           "KL recovered");
    for (size_t i = 0; i < count; i++)
        printf("  %-28.28s %10.4f %12.4f %12.4f %14.4f\n", v[i].name, fidelity_fve(&v[i].fidelity),
               fidelity_legacy(&v[i].fidelity), fidelity_saebench(&v[i].fidelity),
               fidelity_kl_recovered(&v[i].fidelity.all));
    printf(
        "  FVE: of all rows around their mean. Of papers: SAEBench's explained_variance_legacy, a "
        "mean\n  over rows, around the mean of %d contexts. SAEBench's explained_variance is no "
        "explained\n  variance; it is told to be compared\n",
        BATCH_CONTEXTS);
}

/* Where no token is known to follow, there is no cross-entropy to tell. */
static void print_group(const char *name, const struct fidelity_sums *s)
{
    char more[32] = "-";
    if (!s->rows) return;
    double rows = (double)s->rows;
    if (s->with_next)
        snprintf(more, sizeof more, "%.4f",
                 fidelity_ce(s, FIDELITY_SPLICED) - fidelity_ce(s, FIDELITY_CLEAN));
    printf("  %-14s %9" PRIu64 " %9.4f %9.4f %9s %9.4f\n", name, s->rows, s->cosine / rows,
           s->norm_ratio / rows, more, fidelity_kl(s, FIDELITY_SPLICED));
}

static void print_groups(const struct verdict *v)
{
    static const char *const names[FIDELITY_CLASSES] = {"word begins", "part of a word", "number",
                                                        "mark, space"};
    const struct fidelity *f = &v->fidelity;
    printf("\n%s\n  %-14s %9s %9s %9s %9s %9s\n", v->name, "token", "rows", "cosine", "norm",
           "CE more", "KL");
    for (int c = 0; c < FIDELITY_CLASSES; c++) print_group(names[c], &f->by_class[c]);
    printf("  position\n");
    for (unsigned p = 0; p < FIDELITY_POSITIONS; p++) {
        char name[32];
        snprintf(name, sizeof name, "%u to %u", (1U << p) - 1, (2U << p) - 2);
        print_group(name, &f->by_position[p]);
    }
}

/* A line for all that are evaluated alike, or one for each. */
static void print_title(const struct job *job, const struct verdict *v, size_t count)
{
    int alike = 1;
    for (size_t i = 1; i < count; i++)
        alike &= strcmp(v[i].hook, v->hook) == 0 && v[i].tokens == v->tokens &&
                 strcmp(v[i].precision, v->precision) == 0;
    for (size_t i = 0; i < (alike ? 1 : count); i++)
        printf("%s%s%" PRIu64 " tokens in contexts of %u, %s of the model in %s\n",
               alike ? "" : v[i].name, alike ? "" : ": ", v[i].tokens, job->context_tokens,
               v[i].hook, v[i].precision);
    putchar('\n');
}

static void print_all(const struct job *job, const struct verdict *v, size_t count)
{
    print_title(job, v, count);
    print_table(v, count);
    if (!job->is_brief) print_variances(v, count);
    for (size_t i = 0; i < count && !job->is_brief; i++) print_groups(&v[i]);
    for (size_t i = 0; i < count; i++)
        if (v[i].fidelity.beyond_limit)
            printf("\n%s: %" PRIu64
                   " rows longer than its stream's limit keep what the model made, "
                   "and are in no mean\n",
                   v[i].name, v[i].fidelity.beyond_limit);
    printf(
        "\nCE: cross-entropy of the next token, in nats; spliced: with the reconstruction in place "
        "of\nthe rows; zero: with 0. Special tokens%s keep their rows and are in no mean%s\n",
        job->splices_first ? "" : " and position 0",
        job->splices_first ? "" : ";\n--splice-first splices position 0, as SAEBench does");
}

static void put_sums(json_t *o, const struct fidelity_sums *s)
{
    double rows = (double)s->rows;
    json_put_count(o, "rows", s->rows);
    json_put_count(o, "predictions", s->predictions);
    json_put_count(o, "predictions_with_next", s->with_next);
    json_put_number(o, "ce_clean", fidelity_ce(s, FIDELITY_CLEAN));
    json_put_number(o, "ce_spliced", fidelity_ce(s, FIDELITY_SPLICED));
    json_put_number(o, "ce_zero", fidelity_ce(s, FIDELITY_ZERO));
    json_put_number(o, "ce_recovered", fidelity_ce_recovered(s));
    json_put_number(o, "kl_spliced", fidelity_kl(s, FIDELITY_SPLICED));
    json_put_number(o, "kl_zero", fidelity_kl(s, FIDELITY_ZERO));
    json_put_number(o, "kl_recovered", fidelity_kl_recovered(s));
    json_put_number(o, "cosine", s->cosine / rows);
    json_put_number(o, "norm_ratio", s->norm_ratio / rows);
}

static json_t *verdict_json(const struct verdict *v)
{
    static const char *const names[FIDELITY_CLASSES] = {"word", "part", "number", "mark"};
    json_t *o = json_object(), *classes = json_object(), *positions = json_array();
    const struct fidelity *f = &v->fidelity;
    json_put_text(o, "sae", v->name);
    json_put_text(o, "hook", v->hook);
    json_put_text(o, "model_precision", v->precision);
    json_put_text(o, "rows_precision", v->rows_precision);
    json_put_count(o, "tokens", v->tokens);
    put_sums(o, &f->all);
    json_put_number(o, "l0", fidelity_l0(f));
    json_put_number(o, "fve", fidelity_fve(f));
    json_put_number(o, "explained_variance_legacy", fidelity_legacy(f));
    json_put_number(o, "explained_variance_saebench", fidelity_saebench(f));
    json_put_count(o, "features", f->features);
    json_put_count(o, "dead_features", fidelity_dead(f));
    json_put_count(o, "rows_beyond_limit", f->beyond_limit);
    for (int c = 0; c < FIDELITY_CLASSES; c++) {
        json_t *one = json_object();
        put_sums(one, &f->by_class[c]);
        json_put(classes, names[c], one);
    }
    for (unsigned p = 0; p < FIDELITY_POSITIONS; p++) {
        if (!f->by_position[p].rows)
            continue; /* position 0 mostly, and those behind the contexts */
        json_t *one = json_object();
        json_put_count(one, "from", (1U << p) - 1);
        put_sums(one, &f->by_position[p]);
        json_array_append_new(positions, one);
    }
    json_put(o, "by_class", classes);
    json_put(o, "by_position", positions);
    return o;
}

static void print_all_json(const struct verdict *v, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(list, verdict_json(&v[i]));
    shown_json(list, 9);
}

static void warn_of_precision(const struct verdict *v)
{
    if (!v->rows_precision[0] || strcmp(v->rows_precision, v->precision) == 0) return;
    fprintf(stderr,
            "sluice: WARNING: %s was trained on rows of the model in %s, and this model is in %s: "
            "part of what is lost is that difference; --model chooses another file\n",
            v->name, v->rows_precision, v->precision);
}

static int read_job(const struct options *options, struct job *job)
{
    long long tokens, context;
    *job = (struct job){.options = options};
    job->json = options_get(options, "json") != NULL;
    job->is_brief = options_get(options, "brief") != NULL;
    job->splices_first = options_get(options, "splice-first") != NULL;
    int result = options_number(options, "tokens", 2, UINT32_MAX, 16384, &tokens);
    if (result == ERR_OK)
        result = options_number(options, "context", 2, MOST_CONTEXT, 128, &context);
    if (result == ERR_OK) result = subject_threads(options, &job->threads);
    if (result != ERR_OK) return result;
    job->tokens = (uint32_t)tokens;
    job->context_tokens = (uint32_t)context;
    return find_corpus(job);
}

int eval_command(const struct options *options, const struct config *config)
{
    struct verdict v[MOST_SAES] = {0};
    struct job job;
    size_t count = 1 + options->arguments_count;
    (void)config;
    int result = read_job(options, &job);
    for (size_t i = 1; i < count && result == ERR_OK; i++)
        result = look(&job, options->arguments[i - 1]);
    for (size_t i = 0; i < count && result == ERR_OK; i++) {
        result = evaluate(&job, i ? options->arguments[i - 1] : options->file, &v[i]);
        if (result == ERR_OK) warn_of_precision(&v[i]);
    }
    if (result == ERR_OK && job.json)
        print_all_json(v, count);
    else if (result == ERR_OK)
        print_all(&job, v, count);
    for (size_t i = 0; i < count; i++) fidelity_free(&v[i].fidelity);
    config_list_free(&job.corpus);
    return result;
}
