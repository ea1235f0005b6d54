/* `sluice inspect`: a feature index of an SAE, out of one pass over a corpus or a run's buffer. */
#include "base/err.h"
#include "browse/page.h"
#include "cli/commands.h"
#include "cli/inspect_buffer.h"
#include "cli/pace.h"
#include "cli/subject.h"
#include "inspect/index_facts.h"
#include "inspect/promotes.h"
#include "inspect/sorter.h"
#include "inspect/survey.h"
#include "wiring/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { USUAL_TOKENS = 1000000, USUAL_CONTEXT = 512, MOST_CONTEXT = 1 << 20 };
static const uint64_t usual_memory_bytes = UINT64_C(1) << 30;
static const uint64_t cache_bytes = UINT64_C(8) << 30; /* capture.cache_size, unless told */

struct stage { /* what is under way */
    const char *what;
    uint64_t first; /* done when it was first told of */
    struct pace pace;
};

struct job {
    const struct options *options;
    struct stage stage;
    struct own_lens lens;
    struct inspect_buffer buffer;
    struct subject subject;
    struct survey_options survey;
    uint32_t context_tokens;
    /* Where rows come from: a configuration, or a model and a corpus. */
    struct config *config;
    struct source *source;
    struct engine *own, *engine;
    struct config_list corpus;
    /* An engine keeps the options that it was opened with, so what they point to stays. */
    char model[SUBJECT_PATH_BYTES], cache[CONFIG_PATH_BYTES];
    const char *hooks[ROW_MAX_HOOKS];
};

/* ---- options ---- */

static int parse_memory(const char *text, uint64_t *bytes)
{
    static const struct {
        const char *name;
        int shift;
    } units[] = {{"", 0}, {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
    char *end;
    *bytes = usual_memory_bytes;
    if (!text) return ERR_OK;
    unsigned long long n = strtoull(text, &end, 10);
    for (size_t i = 0; *text >= '0' && *text <= '9' && i < sizeof units / sizeof *units; i++)
        if (strcasecmp(end, units[i].name) == 0 && n <= UINT64_MAX >> 1 >> units[i].shift) {
            *bytes = (uint64_t)n << units[i].shift;
            return ERR_OK;
        }
    return err_set(ERR_USAGE, "--memory %.40s is no size; HINT: 512MiB", text);
}

/* ---- rows ---- */

static void tell_making(void *arg, const char *file, uint64_t bytes)
{
    (void)arg;
    fprintf(stderr, "sluice: preparing the model, %.1f MB, once: %s\n", (double)bytes / 1e6, file);
}

static void tell(void *arg, int is_warning, const char *sentence)
{
    (void)arg;
    if (is_warning) fprintf(stderr, "sluice: WARNING: %s\n", sentence);
}

static const struct engine_watch watch = {.preparing = tell_making, .tell = tell};

/* What the command is told goes before what the configuration says. */
static int take_told(const struct job *job, struct config *c)
{
    uint32_t threads;
    int result = subject_threads(job->options, &threads);
    if (result != ERR_OK) return result;
    if (options_get(job->options, "threads")) c->capture.threads = threads;
    if (options_get(job->options, "context")) c->capture.context_tokens = job->context_tokens;
    if (options_get(job->options, "exact-model")) c->capture.exact_model = 1;
    c->capture.producers = 1;
    return ERR_OK;
}

/* The configuration's rows, all of them by one, with the hooks that the SAE sees. */
static int open_config(struct job *job)
{
    const struct options *o = job->options;
    char *hooks[ROW_MAX_HOOKS];
    int result = config_load(o->file, o->sets, o->sets_count, &job->config);
    if (result != ERR_OK) return result == ERR_NOTFOUND ? ERR_USAGE : result;
    struct config *c = job->config;
    struct config_list own = c->stream.hooks;
    for (uint32_t h = 0; h < job->subject.hooks; h++) hooks[h] = job->subject.hook[h];
    if (c->capture.engine == CONFIG_LLAMA)
        c->stream.hooks = (struct config_list){hooks, job->subject.hooks};
    result = take_told(job, c);
    if (result == ERR_OK) result = source_needs(c);
    if (result == ERR_OK) result = source_open(c, 0, &watch, &job->source);
    c->stream.hooks = own;
    if (result == ERR_OK) job->engine = source_engine(job->source);
    return result;
}

static int open_model(struct job *job, uint32_t threads)
{
    for (uint32_t h = 0; h < job->subject.hooks; h++) job->hooks[h] = job->subject.hook[h];
    struct engine_options options = {
        .kind = ENGINE_LLAMA,
        .hooks = job->hooks,
        .hooks_count = job->subject.hooks,
        .share_count = 1,
        .model_file = job->model,
        .cache_dir = job->cache,
        .cache_limit_bytes = cache_bytes,
        .exact_model = options_get(job->options, "exact-model") != NULL,
        .watch = watch,
        .corpus = (const char *const *)job->corpus.item,
        .corpus_count = job->corpus.count,
        .text_field = "text",
        .context_tokens = job->context_tokens,
        .batch_contexts = 1,
        .threads = threads,
        .prepend_bos = job->subject.prepends_bos,
    };
    int result = source_error(engine_open(&options, &job->own));
    job->engine = job->own;
    return result;
}

static int open_corpus(struct job *job)
{
    const char *told = options_get(job->options, "corpus");
    char *list[1] = {(char *)(told ? told : "corpus")};
    struct config named = {.capture.corpus = {list, 1}};
    uint32_t threads;
    int result = subject_source(job->options, &job->subject, job->model);
    if (result == ERR_OK) result = config_corpus(&named, &job->corpus);
    if (result == ERR_OK) result = config_cache_dir(job->cache);
    if (result == ERR_OK) result = subject_threads(job->options, &threads);
    return result == ERR_OK ? open_model(job, threads) : result;
}

/* ---- progress ---- */

static void progress(void *arg, const char *what, uint64_t done, uint64_t all)
{
    struct stage *g = &((struct job *)arg)->stage;
    char of[32] = "";
    if (g->what != what) {
        pace_end(&g->pace);
        *g = (struct stage){.what = what, .first = done};
    }
    if (!pace_due(&g->pace, 1, 0)) return;
    if (all) snprintf(of, sizeof of, " of %" PRIu64, all);
    pace_tell(&g->pace, 0, "%" PRIu64 "%s %s, %.0f per second", done, of, what,
              (double)(done - g->first) / pace_seconds(&g->pace));
}

/* ---- promoted tokens ---- */

static int open_lens(void *arg, struct lens **lens)
{
    struct job *job = arg;
    int result = own_lens_open(job->options, &job->subject, &job->lens);
    *lens = &job->lens.lens;
    return result;
}

/* Whether they can be told is known before anything is read; where not, all else is. */
static void choose_lens(struct job *job)
{
    struct promotes_points points;
    char model[SUBJECT_PATH_BYTES];
    if (options_get(job->options, "no-promotes")) return;
    int result = subject_source(job->options, &job->subject, model);
    if (result == ERR_OK) {
        promotes_look(model, &points);
        result = promotes_find(&job->subject, &points, &job->survey.parts);
    }
    if (result == ERR_OK)
        job->survey.lens = open_lens;
    else
        fprintf(stderr, "sluice: promoted tokens are left out: %s\n", err_text());
}

/* ---- a buffer ---- */

static int open_texts(void *arg, struct texts *texts)
{
    struct job *job = arg;
    return inspect_buffer_texts(job->options, &job->subject, &job->lens, &job->buffer, texts);
}

static int open_buffer(struct job *job)
{
    char model[SUBJECT_PATH_BYTES];
    if (options_get(job->options, "corpus") || options_get(job->options, "context"))
        return err_set(ERR_USAGE, "--corpus and --context are of a corpus, and --from-buffer reads "
                                  "none; HINT: one or the other");
    int result = inspect_buffer_open(job->options, &job->subject, &job->buffer);
    if (result != ERR_OK) return result;
    if (!options_get(job->options, "tokens")) job->survey.most_rows = 0;
    result = inspect_buffer_mark(&job->buffer, job->options->arguments[0],
                                 &job->survey.captured_from_ns);
    if (result != ERR_OK) return result;
    job->survey.buffer = job->buffer.rows;
    job->survey.read = &job->buffer.read;
    job->survey.wait_seconds = INSPECT_WAIT_SECONDS;
    if (!inspect_buffer_has_texts(&job->buffer)) return ERR_OK;
    if (subject_source(job->options, &job->subject, model) == ERR_OK)
        job->survey.texts = open_texts;
    else
        fprintf(stderr, "sluice: tokens are told as numbers: %s\n", err_text());
    return ERR_OK;
}

/* ---- the whole ---- */

static int take_options(struct job *job)
{
    const struct options *o = job->options;
    long long tokens, context;
    int told = job->subject.context_tokens ? (int)job->subject.context_tokens : USUAL_CONTEXT;
    int result = options_number(o, "tokens", 0, UINT32_MAX, USUAL_TOKENS, &tokens);
    if (result == ERR_OK) result = options_number(o, "context", 2, MOST_CONTEXT, told, &context);
    if (result == ERR_OK)
        result = parse_memory(options_get(o, "memory"), &job->survey.memory_bytes);
    /* known now rather than after the pass over the corpus */
    if (result == ERR_OK)
        result = sorter_check(subject_features(&job->subject), job->survey.memory_bytes);
    if (result != ERR_OK) return result;
    job->survey.most_rows = (uint64_t)tokens;
    job->survey.folder = o->arguments[0];
    job->survey.keeps_records = options_get(o, "keep-records") != NULL;
    job->context_tokens = (uint32_t)context;
    return ERR_OK;
}

static int make(struct job *job)
{
    struct index_facts facts;
    int was_there;
    job->survey.commit_seconds = 5;
    job->survey.progress = progress;
    job->survey.arg = job;
    choose_lens(job);
    int result = survey_make(&job->subject, job->engine, &job->survey, &was_there);
    pace_end(&job->stage.pace);
    inspect_buffer_tell(&job->buffer);
    if (result == ERR_OK) result = page_write(job->survey.folder);
    if (result == ERR_OK) result = index_facts_read(job->survey.folder, &facts);
    if (result != ERR_OK) return result;
    printf("%s: %u features of %s over %" PRIu64 " tokens, %" PRIu64 " of them kept%s\n",
           job->survey.folder, facts.features, job->subject.name, facts.rows, facts.kept_rows,
           was_there ? "; it was there already" : "");
    return ERR_OK;
}

int inspect_command(const struct options *options, const struct config *config)
{
    struct job job = {.options = options};
    (void)config;
    int result = subject_open(options, &job.subject);
    if (result != ERR_OK) return result;
    result = take_options(&job);
    if (result == ERR_OK && options_get(options, "from-buffer"))
        result = open_buffer(&job);
    else if (result == ERR_OK && subject_is_configuration(options->file) &&
             !options_get(options, "corpus") && !options_get(options, "model"))
        result = open_config(&job);
    else if (result == ERR_OK)
        result = open_corpus(&job);
    if (result == ERR_OK) result = make(&job);
    inspect_buffer_close(&job.buffer);
    own_lens_close(&job.lens);
    source_close(job.source);
    if (job.own) engine_close(job.own);
    if (job.config) config_free(job.config);
    config_list_free(&job.corpus);
    subject_close(&job.subject);
    return result;
}
