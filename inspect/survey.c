#include "inspect/survey.h"

#include "base/err.h"
#include "base/fileio.h"
#include "engine/fingerprint.h"
#include "inspect/gather.h"
#include "inspect/index_facts.h"
#include "inspect/kept.h"
#include "inspect/sheets.h"
#include "inspect/survey_buffer.h"
#include "inspect/survey_folder.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct survey {
    struct subject *subject;
    struct engine *engine;
    const struct survey_options *options;
    char work[INDEX_PATH_BYTES];
    struct survey_state state;
    struct timespec committed;
    struct record_view view;
    struct sorted sorted;
};

static double seconds_since(const struct timespec *then)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) + 1e-9 * (double)(now.tv_nsec - then->tv_nsec);
}

static void tell(const struct survey *s, const char *what, uint64_t done, uint64_t all)
{
    if (s->options->progress) s->options->progress(s->options->arg, what, done, all);
}

static int commit(struct survey *s)
{
    clock_gettime(CLOCK_MONOTONIC, &s->committed);
    return survey_state_write(s->work, &s->state);
}

static int begin_phase(struct survey *s, enum survey_phase phase)
{
    s->state.phase = phase;
    return commit(s);
}

/* ---- gather ---- */

static int after_block(void *arg, struct records *records, const struct survey_state *state)
{
    struct survey *s = arg;
    tell(s, "tokens", state->rows, s->options->most_rows);
    if (seconds_since(&s->committed) < s->options->commit_seconds) return ERR_OK;
    int result = records_sync(records);
    return result == ERR_OK ? commit(s) : result;
}

static int gather_engine(struct survey *s)
{
    struct records records;
    struct gather_options options = {
        .most_rows = s->options->most_rows, .after = after_block, .arg = s};
    int result = records_open(s->work, s->state.rows, s->state.fired, &records);
    if (result != ERR_OK) return result;
    result = gather_run(s->subject, s->engine, &options, &records, &s->state);
    if (result == ERR_OK) result = records_sync(&records);
    records_close(&records);
    return result;
}

static int gather(struct survey *s)
{
    const struct survey_options *o = s->options;
    int result = o->buffer ? commit(s) : ERR_OK;
    if (result == ERR_OK)
        result =
            o->buffer ? survey_buffer_gather(s->work, s->subject, o, &s->state) : gather_engine(s);
    if (result == ERR_OK && s->state.kept_rows == 0)
        return err_set(ERR_USAGE, "no row is left to inspect: %s",
                       s->state.rows ? "all were left out"
                       : o->buffer   ? "the buffer is empty; HINT: a run that has ended has freed "
                                       "its rows, so inspect while it runs, or out of a corpus"
                                     : "the corpus is empty");
    return result == ERR_OK ? begin_phase(s, SURVEY_SORTS) : result;
}

/* ---- sort ---- */

static int sort(struct survey *s)
{
    uint32_t features = subject_features(s->subject);
    tell(s, "sorting", 0, 0);
    int result = s->state.phase == SURVEY_SORTS
                     ? sorter_make(s->work, &s->view, features, s->options->memory_bytes)
                     : ERR_OK;
    if (result == ERR_OK && s->state.phase == SURVEY_SORTS) result = begin_phase(s, SURVEY_WRITES);
    return result == ERR_OK ? sorter_map(s->work, &s->view, features, &s->sorted) : result;
}

/* ---- write ---- */

static int write_sheets(struct survey *s, struct sheets *sheets, struct index_writer *writer)
{
    uint32_t features = subject_features(s->subject);
    int result = ERR_OK;
    while (result == ERR_OK && writer->features < features) {
        result = sheets_add(sheets, writer);
        s->state.features = writer->features;
        s->state.data_bytes = writer->bytes;
        tell(s, "features", writer->features, features);
        int is_due = seconds_since(&s->committed) >= s->options->commit_seconds;
        if (result != ERR_OK || (!is_due && writer->features < features)) continue;
        result = index_writer_sync(writer);
        if (result == ERR_OK) result = commit(s);
    }
    return result;
}

/* What is told of the rows. */
static void put_origin(const struct survey *s, struct index_facts *facts)
{
    const struct engine_info *info = s->engine ? engine_info(s->engine) : NULL;
    const struct descriptor *d = info ? NULL : buffered_stream(s->options->buffer);
    const char *model = info ? info->model : d->model;
    snprintf(facts->model, sizeof facts->model, "%s", model ? model : "");
    snprintf(facts->precision, sizeof facts->precision, "%s",
             info ? info->precision : d->precision);
    facts->model_hash = info ? info->model_hash : d->model_hash;
    facts->corpus_hash = info ? info->corpus_hash : d->corpus_hash;
    facts->context_tokens = info ? info->context_tokens : d->context_tokens;
}

static int find_texts(const struct survey *s, struct texts *texts)
{
    *texts = (struct texts){0};
    if (s->engine) *texts = texts_of_engine(s->engine);
    return s->engine || !s->options->texts ? ERR_OK : s->options->texts(s->options->arg, texts);
}

static int write_facts(struct survey *s, struct index_facts *facts)
{
    const struct subject *subject = s->subject;
    struct texts texts;
    snprintf(facts->name, sizeof facts->name, "%s", subject->name);
    snprintf(facts->layout, sizeof facts->layout, "%s", subject->layout);
    put_origin(s, facts);
    facts->fingerprint = subject->fingerprint;
    facts->hooks = subject->hooks;
    memcpy(facts->hook, subject->hook, sizeof facts->hook);
    facts->settings_hash = s->state.settings_hash;
    facts->features = subject_features(subject);
    facts->rows = s->state.rows;
    facts->kept_rows = s->state.kept_rows;
    facts->data_bytes = s->state.data_bytes;
    int result = find_texts(s, &texts);
    if (result == ERR_OK) result = vocabulary_write(s->options->folder, &texts, facts);
    if (result == ERR_OK && s->options->keeps_records)
        result = kept_make(s->options->folder, s->work);
    return result == ERR_OK ? index_facts_write(s->options->folder, facts) : result;
}

static int find_promoter(const struct survey *s, struct promoter *promoter)
{
    if (!s->options->lens || s->state.features == subject_features(s->subject)) return ERR_OK;
    promoter->parts = s->options->parts;
    return s->options->lens(s->options->arg, &promoter->lens);
}

static int write_all(struct survey *s)
{
    struct index_facts facts = {0};
    struct index_writer writer;
    struct promoter promoter = {0};
    struct sheets *sheets;
    int result = find_promoter(s, &promoter);
    if (result == ERR_OK)
        result = sheets_open(s->subject, &s->view, &s->sorted, s->state.kept_rows,
                             s->options->lens ? &promoter : NULL, &sheets);
    if (result != ERR_OK) return result;
    result = index_writer_open(s->options->folder, s->state.features, s->state.data_bytes, &writer);
    if (result == ERR_OK) {
        result = write_sheets(s, sheets, &writer);
        if (result == ERR_OK) result = index_writer_hash(&writer, &facts.table_hash);
        index_writer_close(&writer);
    }
    sheets_close(sheets);
    return result == ERR_OK ? write_facts(s, &facts) : result;
}

/* ---- the whole ---- */

static int run(struct survey *s)
{
    uint32_t features = subject_features(s->subject);
    int result = s->state.phase == SURVEY_GATHERS ? gather(s) : ERR_OK;
    if (result == ERR_OK)
        result = records_map(s->work, s->state.rows, s->state.fired, features, &s->view);
    if (result != ERR_OK) return result;
    s->view.has_tokens = s->engine ? engine_tokens(s->engine) > 0 : s->options->texts != NULL;
    result = sort(s);
    if (result == ERR_OK) {
        result = write_all(s);
        sorter_unmap(&s->sorted);
    }
    records_unmap(&s->view);
    return result;
}

static void identify(struct survey *s)
{
    struct index_facts facts;
    put_origin(s, &facts);
    uint64_t hash = fingerprint_add_u64(INDEX_VERSION, s->options->most_rows);
    hash = fingerprint_add_u64(hash, !!s->subject->keeps_special * 2U + !!s->subject->keeps_first);
    for (uint32_t h = 0; h < s->subject->hooks; h++) {
        hash = fingerprint_add_text(hash, s->subject->hook[h]);
        hash = fingerprint_add(hash, &s->subject->hook_limit[h], sizeof s->subject->hook_limit[h]);
    }
    hash = fingerprint_add_u64(hash, s->options->lens != NULL);
    if (s->options->buffer)
        hash = fingerprint_add_u64(hash, buffered_stream(s->options->buffer)->run);
    s->state = (struct survey_state){.fingerprint = s->subject->fingerprint,
                                     .model_hash = facts.model_hash,
                                     .corpus_hash = facts.corpus_hash,
                                     .settings_hash = hash};
}

int survey_make(struct subject *subject, struct engine *engine,
                const struct survey_options *options, int *was_there)
{
    struct survey s = {.subject = subject, .engine = engine, .options = options};
    int lock;
    identify(&s);
    int result = survey_folder_open(options->folder, &s.state, was_there, s.work, &lock);
    if (result == ERR_OK && *was_there && options->keeps_records && !kept_is_there(options->folder))
        return err_set(ERR_MISMATCH,
                       "%s holds this index without its records: it was left as it is; HINT: name "
                       "another folder, or remove this one",
                       options->folder);
    if (result != ERR_OK || *was_there) return result;
    clock_gettime(CLOCK_MONOTONIC, &s.committed);
    result = run(&s);
    if (result == ERR_OK) result = dir_remove(s.work);
    close(lock);
    return result;
}
