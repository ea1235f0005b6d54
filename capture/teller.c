#include "capture/teller.h"

#include "base/err.h"
#include "base/own.h"
#include "capture/judge.h"
#include "capture/tally.h"
#include "runtime/log.h"
#include "runtime/ours.h"
#include "runtime/process.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t tell_each_ns = UINT64_C(2000000000);

struct teller {
    const struct config_capture *config;
    const struct config *run_config;
    uint32_t producer;
    struct room *room;
    struct tally *tally; /* NULL before the first row */
    int is_live;
    struct left_out earlier; /* of the lives before, as they told last */
    /* What is told: the most that was ever marked in this run, so that rows which are made again
     * do not lower it; and that before the last mark. */
    struct tally_counts told, told_before;
    uint64_t told_ns;
    int has_told_skips; /* the log has named the first document that was skipped */
    struct log_limit unwritten;

    pthread_mutex_t lock; /* over left_out */
    struct left_out left_out;
};

/* ---- what is told ---- */

static void path_of_tally(const struct teller *t, char *path, size_t bytes)
{
    char dir[CONFIG_PATH_BYTES] = "";
    config_capture_dir(t->run_config, dir);
    snprintf(path, bytes, "%s/capture-%" PRIu32 ".tally", dir, t->producer);
}

/* As far as the lives before came: what they told, or marked after that. */
static void tell_farthest(struct teller *t, uint64_t run)
{
    char path[CONFIG_PATH_BYTES + 32];
    struct tally *tally;
    const struct left_out *e = &t->earlier;
    t->told = (struct tally_counts){0};
    if (e->run == run)
        t->told = (struct tally_counts){e->kept_rows, e->special_rows, e->first_rows, e->norm_rows,
                                        e->rejected_rows};
    path_of_tally(t, path, sizeof path);
    if (!run || tally_open(path, run, &tally) != ERR_OK) return;
    tally_farthest(tally, &t->told);
    tally_close(tally);
}

static void show(struct teller *t)
{
    struct left_out *l = &t->left_out;
    pthread_mutex_lock(&t->lock);
    l->kept_rows = t->told.kept_rows;
    l->special_rows = t->told.special_rows;
    l->first_rows = t->told.first_rows;
    l->norm_rows = t->told.norm_rows;
    l->rejected_rows = t->told.rejected_rows;
    pthread_mutex_unlock(&t->lock);
}

int teller_new(const struct config *config, uint32_t producer, struct room *room,
               struct teller **teller)
{
    struct teller *t = calloc(1, sizeof *t);
    if (!t) return err_set(ERR_NOMEM, "no memory to count what is left out");
    t->config = &config->capture;
    t->run_config = config;
    t->producer = producer;
    t->room = room;
    pthread_mutex_init(&t->lock, NULL);
    if (left_out_read(config, producer, &t->earlier)) t->earlier = (struct left_out){0};
    t->is_live = config->stream.policy == CONFIG_SHED;
    t->left_out = t->earlier;
    tell_farthest(t, t->earlier.run);
    show(t);
    t->left_out.has_corpus = t->config->engine == CONFIG_LLAMA;
    *teller = t;
    return ERR_OK;
}

struct left_out teller_left_out(struct teller *t)
{
    pthread_mutex_lock(&t->lock);
    struct left_out l = t->left_out;
    pthread_mutex_unlock(&t->lock);
    return l;
}

void teller_log(struct teller *t)
{
    char text[LEFT_OUT_TEXT_BYTES];
    struct left_out l = teller_left_out(t);
    if (!t->tally) return;
    if (l.has_corpus) {
        left_out_documents_text(&l, text, sizeof text);
        log_info("documents: %s", text);
    }
    left_out_rows_text(&l, text, sizeof text);
    log_info("rows: %s", text);
}

void teller_free(struct teller *t)
{
    if (!t) return;
    tally_close(t->tally);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* ---- documents ---- */

/* The corpus up to where the engine is. One that cannot be read again begins anew with each life:
 * what the lives before have read comes before it. */
static struct engine_documents documents_of(const struct teller *t, const struct engine *engine)
{
    struct engine_documents d;
    const struct left_out *e = &t->earlier;
    engine_documents(engine, &d);
    if (engine_info(engine)->resumable) return d;
    d.read += e->documents;
    d.replaced += e->replaced;
    for (int i = 0; i < ENGINE_SKIP_REASONS; i++) d.skipped[i] += e->skipped[i];
    if (e->first_skipped[0]) memcpy(d.first_skipped, e->first_skipped, sizeof d.first_skipped);
    return d;
}

static int judge(struct teller *t, const struct engine_documents *d, int final)
{
    if (!t->has_told_skips && d->first_skipped[0]) {
        t->has_told_skips = 1;
        log_event(LOG_WARN, "a document of the corpus is skipped", LOG_S("first", d->first_skipped),
                  LOG_D("max_bad_documents", t->config->max_bad_documents));
    }
    return judge_documents(d, t->config->max_bad_documents, final);
}

int teller_documents(struct teller *t, const struct engine *engine, int final)
{
    struct engine_documents d = documents_of(t, engine);
    struct left_out *l = &t->left_out;
    pthread_mutex_lock(&t->lock);
    l->documents = d.read;
    memcpy(l->skipped, d.skipped, sizeof l->skipped);
    l->replaced = d.replaced;
    memcpy(l->first_skipped, d.first_skipped, sizeof l->first_skipped);
    pthread_mutex_unlock(&t->lock);
    return judge(t, &d, final);
}

int teller_corpus(struct teller *t, const struct engine *engine)
{
    struct engine_documents d;
    engine_documents_counted(engine, &d);
    return judge(t, &d, 1);
}

/* ---- files ---- */

/* A disk that is full ends nothing here; it is told. */
static void note_written(struct teller *t, int rc)
{
    if (!rc) {
        room_found(t->room);
        return;
    }
    if (rc == ERR_NOSPC)
        room_short(t->room, t->run_config->run_dir, 0, err_text());
    else
        room_found(t->room); /* it lacks something else */
    if (!log_allowed(&t->unwritten)) return;
    log_event(LOG_WARN, "the count of what is left out cannot be kept", LOG_S("why", err_text()));
    if (rc == ERR_NOSPC) ours_sweep(t->run_config); /* for the next try */
}

static int open_tally(struct teller *t, uint64_t run)
{
    char dir[CONFIG_PATH_BYTES], path[CONFIG_PATH_BYTES + 32];
    int result = config_capture_dir(t->run_config, dir);
    if (result != ERR_OK) return result;
    note_written(t, own_make(dir, 0));
    path_of_tally(t, path, sizeof path);
    tell_farthest(t, run);
    return tally_open(path, run, &t->tally);
}

void teller_mark(struct teller *t, uint64_t number, const struct cursor *cursor)
{
    const struct tally_counts *now = tally_counts(t->tally);
    note_written(t, t->is_live ? tally_mark_live(t->tally, now)
                               : tally_mark(t->tally, number, cursor));
    t->told_before = t->told;
    tally_raise(&t->told, tally_counts(t->tally));
}

void teller_take_back(struct teller *t)
{
    if (!t->is_live) return; /* its rows are made again, and are then the same */
    t->told = t->told_before;
    note_written(t, tally_mark_live(t->tally, &t->told));
}

static void count(struct teller *t, uint64_t shed_rows, uint64_t expired_rows)
{
    struct left_out *l = &t->left_out;
    show(t);
    pthread_mutex_lock(&t->lock);
    l->shed_rows = t->earlier.shed_rows + shed_rows;
    l->expired_rows = t->earlier.expired_rows + expired_rows;
    l->is_partial = tally_is_partial(t->tally);
    pthread_mutex_unlock(&t->lock);
}

void teller_tell(struct teller *t, uint64_t shed_rows, uint64_t expired_rows, int at_once)
{
    uint64_t now_ns = process_now_ns();
    if (!t->tally) return;
    if (at_once && !t->is_live) tally_raise(&t->told, tally_counts(t->tally));
    count(t, shed_rows, expired_rows);
    if (!at_once && now_ns < t->told_ns + tell_each_ns) return;
    t->told_ns = now_ns;
    note_written(t, left_out_write(t->run_config, t->producer, &t->left_out));
}

/* ---- rows ---- */

/* What was told of another run, in a buffer that was made anew, is not of this one. */
static void begin_run(struct teller *t, uint64_t run)
{
    struct left_out *l = &t->left_out;
    if (t->tally && l->run != run) {
        tally_close(t->tally);
        t->tally = NULL;
    }
    if (t->earlier.run != run) t->earlier = (struct left_out){.run = run};
    pthread_mutex_lock(&t->lock);
    if (l->run != run) {
        l->run = run;
        l->gaps = l->shed_rows = l->expired_rows = 0;
    }
    l->short_producers = 0;
    pthread_mutex_unlock(&t->lock);
}

int teller_seek(struct teller *t, uint64_t run, uint64_t number, const struct cursor *cursor)
{
    begin_run(t, run);
    int result = t->tally ? ERR_OK : open_tally(t, run);
    if (result != ERR_OK) return result;
    if (!t->is_live || !tally_seek_live(t->tally)) tally_seek(t->tally, number, cursor);
    return ERR_OK;
}

void teller_part(struct teller *t, uint64_t rows, int is_short)
{
    pthread_mutex_lock(&t->lock);
    t->left_out.part_rows = rows;
    t->left_out.short_producers = (uint64_t)is_short;
    pthread_mutex_unlock(&t->lock);
}

void teller_gap(struct teller *t)
{
    pthread_mutex_lock(&t->lock);
    t->left_out.gaps++;
    pthread_mutex_unlock(&t->lock);
}

int teller_row(struct teller *t, enum filter_verdict verdict)
{
    tally_add(t->tally, verdict);
    return judge_filtered(tally_window(t->tally), t->config->max_filtered_share, 0);
}

static int judge_rejected(const struct teller *t, int final)
{
    const struct tally_counts *c = tally_counts(t->tally);
    return filter_rejected(c->rejected_rows, c->kept_rows + c->rejected_rows,
                           t->config->max_rejected_share, final);
}

int teller_batch(struct teller *t)
{
    return judge_rejected(t, 0);
}

int teller_end(struct teller *t, const struct engine *engine)
{
    int result = teller_documents(t, engine, 1);
    if (result == ERR_OK) result = judge_rejected(t, 1);
    return result != ERR_OK
               ? result
               : judge_filtered(tally_window(t->tally), t->config->max_filtered_share, 1);
}

uint64_t teller_kept_rows(const struct teller *t)
{
    return tally_counts(t->tally)->kept_rows;
}
