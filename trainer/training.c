#include "trainer/state.h"

#include "base/err.h"
#include "base/fileio.h"
#include "runtime/folder.h"
#include "runtime/log.h"
#include "runtime/ours.h"
#include "runtime/process.h"
#include "sae/checkpoint.h"
#include "trainer/curves.h"
#include "trainer/finishing.h"
#include "trainer/gauges.h"
#include "trainer/missed.h"
#include "trainer/retention.h"
#include "trainer/save.h"
#include "trainer/seen.h"
#include "trainer/stage.h"
#include "wiring/changes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FULL_DISK_MS = 1000, WAIT_ROWS_MS = 5, WAIT_END_MS = 50, LOOK_AT_PLACE_MS = 1000 };

double training_seconds_since(uint64_t begin_ns)
{
    return (double)(process_now_ns() - begin_ns) * 1e-9;
}

double training_seconds(const struct training *t)
{
    return t->earlier_seconds + training_seconds_since(t->started_ns);
}

void training_pause(struct training *t, unsigned ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&t->lock);
    while (!atomic_load(&t->stop) &&
           pthread_cond_timedwait(&t->wake, &t->lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&t->lock);
}

/* One life of a consumer at a time: two would write each other's files. */
static int claim_role(struct training *t)
{
    char path[CONFIG_PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/trainer.lock", t->dir);
    int result = folder_claim_consumer(t->config, t->options.consumer);
    if (result == ERR_OK) result = file_lock(path, &t->role);
    if (result != ERR_EXISTS) return result;
    return err_set(result,
                   "another trainer is at work as consumer '%s' (%s); HINT: stop that one, or give "
                   "another --consumer",
                   t->options.consumer, err_text());
}

int training_new(const struct training_options *options, struct training **training)
{
    struct training *t = calloc(1, sizeof *t);
    if (!t) return err_set(ERR_NOMEM, "no memory for the trainer");
    t->options = *options;
    t->role = -1;
    t->config = options->config;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&t->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&t->lock, NULL);
    int result = config_consumer_dir(t->config, options->consumer, t->dir);
    if (result == ERR_OK && options->replay) {
        if ((size_t)snprintf(t->buffer, sizeof t->buffer, "%s", options->replay) >=
            sizeof t->buffer)
            result = err_set(ERR_LIMIT, "the path of the buffer is too long");
    } else if (result == ERR_OK) {
        result = config_buffer_dir(t->config, t->buffer);
    }
    if (result == ERR_OK) result = claim_role(t);
    if (result == ERR_NOSPC) result = ERR_OK; /* training_run() waits for the room */
    if (result != ERR_OK) {
        training_free(t);
        return result;
    }
    *training = t;
    return ERR_OK;
}

void training_stop(struct training *t)
{
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->stop, 1);
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->lock);
}

int training_evaluated(const struct training *t)
{
    return atomic_load(&t->evaluated);
}

void training_free(struct training *t)
{
    if (!t) return;
    draw_close(t->draw);
    held_out_close(t->held_out);
    history_close(t->history);
    curves_close(t->curves);
    for (uint32_t i = 0; t->sae && i < t->plan.saes; i++) sae_free(t->sae[i]);
    free(t->sae);
    free(t->eval);
    free(t->step);
    free(t->ids);
    free(t->values);
    free(t->seen);
    free(t->descriptor);
    json_decref(t->settings);
    json_decref(t->changes);
    sae_workspace_free(t->workspace);
    whiten_free(t->whiten);
    pool_free(t->pool);
    plan_free(&t->plan);
    if (t->role >= 0) close(t->role);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* The file beside the buffer may be of a newer checkpoint that is lost: by the state that really
 * counts the sink has made again what it freed. Where there is no checkpoint at all, the same. */
static int publish_place(struct training *t, const struct consumer_state *state)
{
    if (t->options.replay) return ERR_OK;
    return consumer_write(t->buffer, state);
}

static uint64_t checkpoint_bytes(const struct training *t)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < t->plan.saes; i++) bytes += plan_checkpoint_bytes(&t->plan.sae[i]);
    return bytes;
}

/* A full disk, or one that is not any more, for whoever asks how this trainer is. */
static void tell_room(struct training *t, int result, uint64_t needed_bytes)
{
    if (result == ERR_NOSPC)
        room_short(t->options.room, t->dir, needed_bytes, err_text());
    else
        room_found(t->options.room);
}

int training_waits_for_room(struct training *t, int result)
{
    tell_room(t, result, 0);
    if (result != ERR_NOSPC || atomic_load(&t->stop)) return 0;
    log_warn("waiting for room on the disk: %s", err_text());
    if (ours_sweep(t->config) > 0) return 1;
    training_pause(t, FULL_DISK_MS);
    return 1;
}

int training_insist_on_place(struct training *t, const struct consumer_state *state)
{
    int result;
    do {
        result = publish_place(t, state);
    } while (training_waits_for_room(t, result));
    return result;
}

static int checkpoint(struct training *t)
{
    uint64_t begin_ns = process_now_ns();
    stage_enter(t, PHASE_CHECKPOINTING, 0, 0);
    struct save save = {.descriptor = t->descriptor,
                        .whiten = t->whiten,
                        .held_out_rows = held_out_taken(t->held_out),
                        .held_out_hash = held_out_hash(t->held_out),
                        .steps = t->steps,
                        .rows = t->rows,
                        .reuse = t->config->trainer.reuse,
                        .seed = t->config->trainer.seed,
                        .plan = {.batch_rows = t->plan.batch_rows,
                                 .planned_rows = t->plan.planned_rows,
                                 .planned_steps = t->plan.planned_steps},
                        .saes = t->plan.saes,
                        .settings = t->settings,
                        .changes = t->changes,
                        .known_from_steps = t->known_from_steps,
                        .earlier_rows = t->earlier_rows,
                        .undrawn_rows = t->undrawn_rows,
                        .seconds = training_seconds(t),
                        .written_seconds = (double)process_wall_ns() / 1e9};
    uint64_t request = t->batch.checkpoint_request;
    const struct consumer_state *state = draw_state(t->draw);
    if (!state) return ERR_NOMEM;
    save.state = *state; /* its arrays stay the draw's */
    if (save.state.checkpoint_request < request) save.state.checkpoint_request = request;
    int result = held_out_sync(t->held_out);
    if (result == ERR_OK) result = history_sync(t->history);
    if (result == ERR_OK)
        result = save_write(t->dir, &save, t->sae, t->config->trainer.keep_checkpoints);
    if (result == ERR_OK) result = publish_place(t, &save.state);
    if (result != ERR_OK) return result;
    double took = training_seconds_since(begin_ns);
    t->answered = save.state.checkpoint_request;
    t->checkpoint_ns = process_now_ns() + (uint64_t)(t->config->trainer.checkpoint_seconds * 1e9);
    t->times.checkpointing += took;
    metrics_add(t->options.metrics, GAUGE_CHECKPOINTS, 1);
    metrics_set(t->options.metrics, GAUGE_CHECKPOINT_TIME, save.written_seconds);
    metrics_add(t->options.metrics, GAUGE_CHECKPOINT_SECONDS, took);
    log_event(LOG_INFO, "checkpoint", LOG_U("step", t->steps), LOG_U("request", t->answered),
              LOG_D("seconds", took));
    return ERR_OK;
}

/* A full disk ends no training: the last checkpoint stands, and the next try comes soon. */
static int checkpoint_if_due(struct training *t)
{
    uint64_t now_ns = process_now_ns();
    int due = t->batch.checkpoint_request > t->answered || now_ns >= t->checkpoint_ns;
    if (!due || now_ns < t->full_disk_ns) return ERR_OK;
    int result = checkpoint(t);
    tell_room(t, result, checkpoint_bytes(t));
    if (result != ERR_NOSPC) return result;
    log_warn("no checkpoint, as the disk is full: %s", err_text());
    if (ours_sweep(t->config) > 0) return ERR_OK; /* it is tried again at once */
    t->full_disk_ns = now_ns + FULL_DISK_MS * UINT64_C(1000000);
    return ERR_OK;
}

static void show_draw(struct training *t)
{
    struct metrics *m = t->options.metrics;
    struct draw_gauges g = draw_gauges(t->draw);
    metrics_set(m, GAUGE_HELD_OUT_ROWS, (double)g.rows_held_out);
    metrics_set(m, GAUGE_SKIPPED_ROWS, (double)missed_rows(t));
    metrics_set(m, GAUGE_ROWS_LEFT, (double)g.rows_left);
    metrics_set(m, GAUGE_CAPACITY_ROWS, (double)g.capacity_rows);
    metrics_set(m, GAUGE_ACTIVE_SLABS, (double)g.active_slabs);
    missed_tell(t);
}

void training_show_totals(const struct training *t)
{
    struct metrics *m = t->options.metrics;
    metrics_set(m, GAUGE_ROWS, (double)t->rows);
    metrics_set(m, GAUGE_STEPS, (double)t->steps);
    metrics_set(m, GAUGE_SKIPPED_ROWS, (double)missed_rows(t));
    for (uint32_t i = 0; i < t->plan.saes; i++)
        metrics_set_at(m, GAUGE_SKIPPED_STEPS, i, (double)sae_skipped(t->sae[i]));
}

static void show_step(struct training *t)
{
    struct metrics *m = t->options.metrics;
    const struct draw_batch *b = &t->batch;
    training_show_totals(t);
    metrics_set(m, GAUGE_AGE_SECONDS, b->age_seconds);
    t->shuffle_pairs += b->same_sequence_pairs;
    t->shuffle_ideal_pairs += b->ideal_same_sequence_pairs;
    t->shuffle_entropy += b->entropy;
    t->shuffle_ideal_entropy += b->ideal_entropy;
    if (b->ideal_same_sequence_pairs > 0)
        metrics_set(m, GAUGE_SAME_SEQUENCE, b->same_sequence_pairs / b->ideal_same_sequence_pairs);
    if (b->ideal_entropy > 0) metrics_set(m, GAUGE_ENTROPY, b->entropy / b->ideal_entropy);
    for (uint32_t i = 0; i < t->plan.saes; i++) {
        const struct sae_step *s = &t->step[i];
        if (s->skipped) continue;
        metrics_set_at(m, GAUGE_LOSS, i, s->loss);
        metrics_set_at(m, GAUGE_BATCH_FVE, i, s->fve);
        metrics_set_at(m, GAUGE_GRADIENT_NORM, i, s->gradient_norm);
        metrics_set_at(m, GAUGE_LEARNING_RATE, i, s->learning_rate);
        metrics_set_at(m, GAUGE_DEAD, i, s->dead);
        if (!t->eval[i].rows) metrics_set_at(m, GAUGE_L0, i, s->l0);
    }
}

void training_scale_rows(const struct training *t, float *values, size_t rows)
{
    uint32_t width = t->plan.width;
    for (size_t r = 0; r < rows; r++) {
        float *row = values + r * width;
        for (uint32_t d = 0; d < width; d++) row[d] *= t->plan.scale[d];
    }
}

/* Rows for the next step; ERR_AGAIN and ERR_NOTFOUND as draw_next(). */
static int draw(struct training *t)
{
    uint64_t begin_ns = process_now_ns(), stop_rows = t->config->trainer.stop_rows;
    t->batch.values = t->values;
    t->batch.ids = t->ids;
    t->batch.rows = t->plan.batch_rows;
    if (stop_rows && stop_rows - t->rows < t->batch.rows) t->batch.rows = stop_rows - t->rows;
    t->batch.rows = finishing_room(t, t->batch.rows);
    int result = draw_next(t->draw, &t->batch);
    show_draw(t);
    if (result == ERR_AGAIN)
        stage_wait(t);
    else
        stage_enter(t, PHASE_TRAINING, 0, 0);
    metrics_set(t->options.metrics, GAUGE_WAITING, result == ERR_AGAIN);
    if (result != ERR_OK) return result;
    training_scale_rows(t, t->values, t->batch.rows);
    if (t->whiten) whiten_apply(t->whiten, t->values, t->batch.rows);
    double took = training_seconds_since(begin_ns);
    t->times.drawing += took;
    metrics_observe(t->options.metrics, GAUGE_DRAW_SECONDS, took);
    return ERR_OK;
}

static int step(struct training *t)
{
    uint64_t begin_ns = process_now_ns();
    finishing_slow(t);
    for (uint32_t i = 0; i < t->plan.saes; i++) {
        struct sae_batch batch = {seen_batch(t, i), t->ids, (uint32_t)t->batch.rows};
        int result = sae_train(t->sae[i], &batch, &t->step[i]);
        if (result != ERR_OK) return result;
        if (t->step[i].skipped)
            log_event(LOG_WARN, "step left out: loss or gradient is not finite",
                      LOG_S("sae", t->config->trainer.saes[i].name), LOG_U("step", t->steps));
    }
    t->steps++;
    t->rows += t->batch.rows;
    t->life_rows += t->batch.rows;
    double took = training_seconds_since(begin_ns);
    t->times.stepping += took;
    metrics_observe(t->options.metrics, GAUGE_STEP_SECONDS, took);
    show_step(t);
    return ERR_OK;
}

int training_place_is_damaged(const struct training *t)
{
    struct consumer_state place;
    if (t->options.replay) return 0;
    int result = consumer_read(t->buffer, t->options.consumer, &place);
    if (result == ERR_OK) consumer_state_free(&place);
    return result == ERR_FORMAT || result == ERR_CHECKSUM;
}

/* Where it is damaged, rows may not come before it is written again. */
static void look_at_place(struct training *t)
{
    uint64_t now_ns = process_now_ns();
    if (now_ns < t->place_ns) return;
    t->place_ns = now_ns + LOOK_AT_PLACE_MS * UINT64_C(1000000);
    if (!training_place_is_damaged(t)) return;
    log_warn("the consumer's place is damaged and is written again: %s", err_text());
    t->checkpoint_ns = 0;
}

/* What this life has done is kept at once: what covers more need not be made again. */
static void tell_damage(struct training *t, const char *damage)
{
    if (damage[0] && !t->told_damage) {
        log_event(LOG_ERROR,
                  "the buffer is damaged; the sink sets it aside and what is still needed is made "
                  "again",
                  LOG_S("why", damage));
        t->checkpoint_ns = 0;
    } else if (!damage[0] && t->told_damage) {
        log_info("another buffer is there: the training goes on");
    }
    t->told_damage = damage[0] != 0;
}

void training_wait_rows(struct training *t, const struct draw *draw)
{
    uint64_t begin_ns = process_now_ns();
    tell_damage(t, draw_damage(draw));
    look_at_place(t);
    training_pause(t, WAIT_ROWS_MS);
    double took = training_seconds_since(begin_ns);
    t->times.waiting += took;
    metrics_add(t->options.metrics, GAUGE_WAIT_SECONDS, took);
}

static int enough(const struct training *t)
{
    uint64_t stop_rows = t->config->trainer.stop_rows;
    return stop_rows && t->rows >= stop_rows;
}

/* Whether nothing more is to be drawn, although there may be rows: then the consumer is finished.
 * Waits a little where that will be so once the stream has ended. */
static int finish_if_enough(struct training *t, int *finished)
{
    int result = ERR_OK, settled = enough(t);
    if (!settled && finishing_is_over(t)) result = finishing_settle(t, &settled);
    if (result != ERR_OK) return result;
    if (!settled) {
        training_pause(t, WAIT_END_MS);
        return checkpoint_if_due(t); /* a capture may wait for the room that it frees */
    }
    missed_finish(t);
    show_draw(t);
    *finished = 1;
    return ERR_OK;
}

/* Until a stop, or until it is finished: the stream has ended, stop_rows are reached, or the decay
 * that `sluice finish` asked for is over. */
static int train(struct training *t, int *finished)
{
    int result = ERR_OK;
    while (result == ERR_OK && !*finished && !atomic_load(&t->stop)) {
        retention_poll(t, process_now_ns());
        result = finishing_look(t);
        if (result != ERR_OK) return result;
        if (enough(t) || finishing_is_over(t)) {
            result = finish_if_enough(t, finished);
            continue;
        }
        result = draw(t);
        if (result == ERR_NOTFOUND) {
            *finished = 1;
            return ERR_OK;
        }
        if (result == ERR_AGAIN) {
            result = checkpoint_if_due(t);
            if (result == ERR_OK) training_wait_rows(t, t->draw);
            continue;
        }
        if (result == ERR_OK) result = step(t);
        if (result == ERR_OK) result = evaluation_if_due(t);
        if (result == ERR_OK) curves_look(t);
        if (result == ERR_OK) result = checkpoint_if_due(t);
    }
    return result;
}

static int export_results(struct training *t)
{
    stage_enter(t, PHASE_EXPORTING, 0, 0);
    return results_write(t);
}

/* What was trained is not given up for want of room. */
static int insist(struct training *t, int (*work)(struct training *t))
{
    int result;
    do {
        result = work(t);
    } while (training_waits_for_room(t, result));
    return result;
}

/* ERR_AGAIN: told to stop before there was room. */
static int insist_on_role(struct training *t)
{
    if (t->role >= 0) return ERR_OK;
    int result = insist(t, claim_role);
    return result == ERR_NOSPC ? ERR_AGAIN : result;
}

/* By the age of the checkpoint that it was taken up from: a trainer that dies before its next one is
 * due, again and again, would write none, and look as if it had. */
static void go_on_from_checkpoint(struct training *t)
{
    double now_seconds = (double)process_wall_ns() / 1e9, since = t->written_seconds;
    if (!(since > 0 && since < now_seconds)) since = now_seconds;
    double left_seconds = since + t->config->trainer.checkpoint_seconds - now_seconds;
    t->checkpoint_ns = process_now_ns() + (left_seconds > 0 ? (uint64_t)(left_seconds * 1e9) : 0);
    metrics_set(t->options.metrics, GAUGE_CHECKPOINT_TIME, since);
}

int training_run(struct training *t)
{
    t->started_ns = process_now_ns();
    stage_enter(t, PHASE_LOADING, 0, 0);
    int result = insist_on_role(t);
    if (result == ERR_OK) result = training_open(t);
    if (result == ERR_AGAIN) return ERR_OK;
    if (result != ERR_OK) return result;
    go_on_from_checkpoint(t);
    int finished = 0;
    result = train(t, &finished);
    if (result == ERR_OK && finished)
        result = held_out_rows(t->held_out) > 0 ? evaluation_make(t) : ERR_OK;
    if (result == ERR_OK && finished) result = evaluation_record(t);
    if (result == ERR_OK && finished) curves_end(t);
    if (result == ERR_OK) result = insist(t, checkpoint);
    if (result == ERR_OK && finished) result = insist(t, export_results);
    if (result == ERR_OK && finished) retention_clear(t);
    if (result == ERR_OK && finished) {
        stage_enter(t, PHASE_FINISHED, 0, 0);
        metrics_set(t->options.metrics, GAUGE_FINISHED, 1);
    }
    return result;
}
