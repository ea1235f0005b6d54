/* How a training begins: the newest checkpoint, the stream's descriptor, the plan, and all that it
 * needs, or what it had when it stopped. */
#include "trainer/state.h"

#include "base/err.h"
#include "base/fileio.h"
#include "proto/message.h"
#include "runtime/log.h"
#include "sae/checkpoint.h"
#include "sae/foretell.h"
#include "trainer/curves.h"
#include "trainer/gauges.h"
#include "trainer/missed.h"
#include "trainer/retention.h"
#include "trainer/save.h"
#include "trainer/seen.h"
#include "trainer/whitening.h"
#include "wiring/changes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WAIT_BUFFER_MS = 100, WAIT_DAMAGED_MS = 500 };

static int keep_held_out(void *arg, const struct row_id *id, const float *values)
{
    struct training *t = arg;
    (void)id;
    return held_out_add(t->held_out, draw_held_out_captured_ns(t->draw), values);
}

static struct draw_options draw_options_of(struct training *t)
{
    const struct config_trainer *c = &t->config->trainer;
    return (struct draw_options){
        .dir = t->buffer,
        .stream = t->config->stream.name,
        .consumer = t->options.consumer,
        .reuse = c->reuse,
        .seed = c->seed,
        .min_rows = c->min_rows,
        .active_bytes = c->active_bytes,
        .held_out_one_in = t->plan.descriptor.held_out_one_in,
        .shed = t->plan.descriptor.shed,
        .expires = t->config->sink.retention_seconds > 0,
        .replay = t->options.replay != NULL,
        .shuffle = 1,
        .held_out = keep_held_out,
        .arg = t,
    };
}

int training_draw_open(struct training *t, const struct draw_options *options, struct draw **draw)
{
    int result, last = ERR_OK;
    while ((result = draw_open(options, draw)) == ERR_NOTFOUND || result == ERR_CORRUPT ||
           result == ERR_NOSPC) {
        if (result == ERR_NOSPC && training_waits_for_room(t, result)) continue;
        if (t->options.replay || result == ERR_NOSPC) return result;
        if (result != last && result == ERR_CORRUPT)
            log_error("waiting for another buffer: %s", err_text());
        else if (result != last)
            log_event(LOG_INFO, "waiting for the buffer", LOG_S("folder", t->buffer));
        last = result;
        metrics_set(t->options.metrics, GAUGE_WAITING, 1);
        if (atomic_load(&t->stop)) return ERR_AGAIN;
        training_pause(t, result == ERR_CORRUPT ? WAIT_DAMAGED_MS : WAIT_BUFFER_MS);
    }
    metrics_set(t->options.metrics, GAUGE_WAITING, 0);
    return result;
}

/* Wait until there is a buffer with a descriptor, and copy that. ERR_AGAIN: told to stop. */
static int await_descriptor(struct training *t)
{
    struct draw_options options = draw_options_of(t);
    struct draw *draw;
    int result = training_draw_open(t, &options, &draw);
    if (result != ERR_OK) return result;
    t->descriptor = strdup(draw_descriptor(draw));
    result = t->descriptor ? ERR_OK : err_set(ERR_NOMEM, "no memory for the descriptor");
    if (result == ERR_OK && !t->options.replay)
        result = config_check_rows(t->config, draw_width(draw), draw_gauges(draw).capacity_rows);
    draw_close(draw);
    return result;
}

/* What a file of the consumer is to blame for, no second try mends: exit code 2. (The buffer is not
 * among them: the sink makes a damaged one anew.) */
static int not_mended(int code)
{
    int is_damage = code == ERR_CORRUPT || code == ERR_CHECKSUM;
    return is_damage || err_is_final(code) ? ERR_MISMATCH : code;
}

/* The descriptor of the buffer, or the checkpoint, to `d`: complete, or its place is told. */
static int read_descriptor(const char *text, const char *what, const char *path, const char *hint,
                           struct descriptor *d)
{
    int result = descriptor_decode(text, strlen(text), d);
    if (result == ERR_OK && d->measured) return ERR_OK;
    if (result == ERR_OK) result = err_set(ERR_FORMAT, "it carries no input scale and mean");
    descriptor_free(d);
    return err_set(result, "the descriptor in the %s %s: %.400s; HINT: %s", what, path, err_text(),
                   hint);
}

static int read_of_buffer(const struct training *t, struct descriptor *d)
{
    return read_descriptor(t->descriptor, "buffer", t->buffer,
                           t->options.replay ? "give --replay a whole copy of it"
                                             : "stop the run and move that folder away: what "
                                               "consumers still need is made again",
                           d);
}

static int check_descriptor(const struct training *t)
{
    struct descriptor d = {0};
    int result = read_of_buffer(t, &d);
    descriptor_free(&d);
    return result;
}

/* The stream of the buffer must be the one that the checkpoint was made from; and scale and mean
 * are those of the checkpoint, also where the buffer was made anew and measured again. */
static int take_descriptor(struct training *t, struct save *save, const struct checkpoint *from)
{
    struct descriptor then = {0}, now = {0};
    int result = not_mended(read_descriptor(
        save->descriptor, "checkpoint", checkpoint_path(from),
        "move it away to go on from the one before, or start over with --fresh", &then));
    if (result == ERR_OK) result = read_of_buffer(t, &now);
    if (result == ERR_OK) result = descriptor_match(&then, &now);
    descriptor_free(&then);
    descriptor_free(&now);
    if (result != ERR_OK) return result;
    free(t->descriptor);
    t->descriptor = save->descriptor;
    save->descriptor = NULL;
    return ERR_OK;
}

static int make_saes(struct training *t)
{
    uint32_t n = t->plan.saes;
    size_t rows = t->plan.batch_rows;
    t->sae = calloc(n, sizeof *t->sae);
    t->eval = calloc(n, sizeof *t->eval);
    t->step = calloc(n, sizeof *t->step);
    t->ids = malloc(rows * sizeof *t->ids);
    t->values = malloc(rows * t->plan.width * sizeof *t->values);
    if (!t->sae || !t->eval || !t->step || !t->ids || !t->values)
        return err_set(ERR_NOMEM, "no memory for a batch; HINT: lower trainer.batch_rows");
    int result = seen_open(t);
    for (uint32_t i = 0; i < n && result == ERR_OK; i++) {
        t->plan.sae[i].workspace = t->workspace; /* they step in turns */
        t->plan.sae[i].mean = seen_mean(t, i);
        result = sae_new(&t->plan.sae[i], &t->sae[i]);
        if (result != ERR_OK) return result;
        t->plan.sae[i].mean = NULL; /* it is read by sae_new() alone */
        metrics_set_at(t->options.metrics, GAUGE_FEATURES, i, t->plan.sae[i].features);
    }
    return result;
}

static void say_plan(const struct training *t)
{
    const struct plan *p = &t->plan;
    log_event(LOG_INFO, "training", LOG_U("width", p->width), LOG_U("saes", p->saes),
              LOG_U("batch_rows", p->batch_rows), LOG_U("planned_rows", p->planned_rows),
              LOG_U("planned_steps", p->planned_steps),
              LOG_U("held_out_one_in", p->descriptor.held_out_one_in),
              LOG_U("threads", pool_threads(t->pool)), LOG_S("kernels", sae_kernels(t->sae[0])),
              LOG_U("steps_done", t->steps));
    for (uint32_t i = 0; i < p->saes; i++)
        log_event(LOG_INFO, "autoencoder", LOG_S("sae", t->config->trainer.saes[i].name),
                  LOG_S("arch", sae_arch_name(p->sae[i].arch)),
                  LOG_U("dead_window_rows", p->sae[i].dead_window_rows),
                  LOG_S("screen", sae_screen(t->sae[i])));
    for (uint32_t i = 0; i < p->saes; i++) {
        char text[512];
        if (foretell_lambda(&p->sae[i], text, sizeof text))
            log_warn("autoencoder %s: %s", t->config->trainer.saes[i].name, text);
    }
    metrics_set(t->options.metrics, GAUGE_PLANNED_ROWS, (double)p->planned_rows);
    metrics_set(t->options.metrics, GAUGE_REUSE, t->config->trainer.reuse);
    metrics_set(t->options.metrics, GAUGE_CHECKPOINT_INTERVAL,
                t->config->trainer.checkpoint_seconds);
}

static void name_hooks(const struct training *t, const struct view *v, char *out, size_t bytes)
{
    size_t used = 0;
    for (uint32_t h = 0; h < v->hooks && used < bytes; h++)
        used += (size_t)snprintf(out + used, bytes - used, "%s%s", h ? ", " : "",
                                 t->plan.descriptor.hook[v->place[h]].name);
}

/* An autoencoder goes on with the hooks that it saw. */
static int match_views(const struct training *t, const struct save *save)
{
    json_t *saes = json_object_get(save->settings, "saes");
    char then[400], now[400];
    for (uint32_t i = 0; i < t->plan.saes; i++) {
        const struct view *is = &t->plan.view[i];
        struct view was;
        int result = view_of_names(json_object_get(json_array_get(saes, i), "hooks"),
                                   &t->plan.descriptor, &was);
        if (result != ERR_OK) return not_mended(result);
        if (was.hooks == is->hooks &&
            memcmp(was.place, is->place, is->hooks * sizeof *is->place) == 0)
            continue;
        name_hooks(t, &was, then, sizeof then);
        name_hooks(t, is, now, sizeof now);
        return err_set(ERR_MISMATCH,
                       "autoencoder %s saw the hooks %s when this run began and would see %s now; "
                       "HINT: set trainer.saes.%u.hooks back, or start over with --fresh",
                       t->config->trainer.saes[i].name, then, now, config_item_of(t->config, i));
    }
    return ERR_OK;
}

/* What this life trains with, and since when: by the checkpoint's settings, if there is one. */
static int settle(struct training *t, const struct save *save)
{
    int result = changes_settings(t->config, &t->plan, sae_kernels(t->sae[0]), &t->settings);
    t->changes = save->changes ? json_deep_copy(save->changes) : json_array();
    t->known_from_steps = save->known_from_steps;
    if (result != ERR_OK) return result;
    if (!t->changes) return err_set(ERR_NOMEM, "no memory for the settings");
    if (save->settings)
        result = changes_add(t->changes, save->settings, t->settings, save->steps, save->rows);
    if (result == ERR_OK && save->settings) changes_log(t->changes, save->steps);
    return result;
}

/* Everything that a resume takes from the checkpoint `save` but the descriptor. */
static int take_up(struct training *t, const struct save *save, const struct checkpoint *from)
{
    t->steps = save->steps;
    t->rows = save->rows;
    t->earlier_rows = save->earlier_rows;
    t->undrawn_rows = save->undrawn_rows;
    t->earlier_seconds = save->seconds;
    t->written_seconds = save->written_seconds;
    t->answered = save->state.checkpoint_request;
    int result = not_mended(save_load_saes(t->config, from, t->sae, t->plan.saes));
    if (result == ERR_OK) result = draw_resume(t->draw, &save->state);
    t->told_missed = missed_rows(t); /* by earlier lives */
    if (result == ERR_OK)
        log_event(LOG_INFO, "resumed", LOG_S("checkpoint", checkpoint_path(from)),
                  LOG_U("steps", t->steps), LOG_U("rows", t->rows));
    return result;
}

/* Of rows whose age nobody noted it is not known when they have to go. */
static int remove_unaged(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0) return ERR_OK;
    if (unlink(path) != 0 && errno != ENOENT) return file_error("cannot remove", path);
    log_warn("%s is removed: the ages of its rows are not known, and there is a retention now",
             path);
    return ERR_OK;
}

static int open_aged(struct training *t, const char *path, uint64_t taken)
{
    uint64_t lost = 0;
    int result =
        held_out_open_aged(path, t->plan.width, t->plan.scale, t->config->trainer.eval_rows, taken,
                           retention_oldest_ns(t), &lost, &t->held_out);
    if (result == ERR_OK && lost > 0)
        log_event(LOG_WARN, "held-out rows were damaged and are left out", LOG_U("rows", lost));
    return result;
}

/* A file of slots stays one: whoever switches the retention off loses no row by it. */
static int open_held_out(struct training *t, const struct save *save)
{
    char path[CONFIG_PATH_BYTES + 32], aged[CONFIG_PATH_BYTES + 32];
    struct stat st;
    int result = ERR_OK;
    snprintf(path, sizeof path, "%s/held_out.rows", t->dir);
    snprintf(aged, sizeof aged, "%s/held_out.aged", t->dir);
    int goes_by_age = t->config->sink.retention_seconds > 0 || lstat(aged, &st) == 0;
    if (goes_by_age) result = remove_unaged(path);
    if (result != ERR_OK) return result;
    do {
        result = goes_by_age ? open_aged(t, aged, save->held_out_rows)
                             : held_out_open(path, t->plan.width, t->plan.scale,
                                             t->config->trainer.eval_rows, save->held_out_rows,
                                             save->held_out_hash, &t->held_out);
    } while (training_waits_for_room(t, result));
    return result;
}

static int open_history(struct training *t, uint64_t steps)
{
    char path[CONFIG_PATH_BYTES + 32];
    int result;
    snprintf(path, sizeof path, "%s/history.tsv", t->dir);
    do {
        result = history_open(path, steps, &t->history);
    } while (training_waits_for_room(t, result));
    if (result == ERR_OK && history_was_damaged(t->history))
        log_warn("%s held something else than lines of a history, from which on it was cut", path);
    return result;
}

static int open_parts(struct training *t, const struct save *save, const struct checkpoint *from)
{
    int result = pool_new(config_threads(t->config->trainer.threads), &t->pool);
    if (result == ERR_OK) result = sae_workspace_new(&t->workspace);
    if (result == ERR_OK) result = plan_make(t->config, t->descriptor, t->pool, &t->plan);
    struct draw_options options = result == ERR_OK ? draw_options_of(t) : (struct draw_options){0};
    if (result == ERR_OK) result = whitening_open(t, &options, from);
    if (result == ERR_OK && from) result = match_views(t, save);
    if (result == ERR_OK && from) plan_go_on(&t->plan, &save->plan, save->steps, save->rows);
    if (result == ERR_OK) result = make_saes(t);
    if (result == ERR_OK) result = settle(t, save);
    if (result == ERR_OK) result = not_mended(open_held_out(t, save));
    if (result == ERR_OK) result = open_history(t, save->steps);
    if (result == ERR_OK && from) result = training_insist_on_place(t, &save->state);
    if (result == ERR_OK) result = training_draw_open(t, &options, &t->draw);
    if (result == ERR_OK && from) return take_up(t, save, from);
    if (result == ERR_OK) result = missed_begin(t);
    if (result != ERR_OK) return result;
    const struct consumer_state *state = draw_state(t->draw);
    return state ? training_insist_on_place(t, state) : ERR_NOMEM;
}

/* By a damaged file beside the buffer the sink knows nothing, and opens no buffer: so it is written
 * again before one is waited for. Without a checkpoint there is nothing that it could say. */
static int mend_place(struct training *t, const struct save *save)
{
    if (!training_place_is_damaged(t)) return ERR_OK;
    log_warn("the consumer's place is damaged and is written again from the newest checkpoint: %s",
             err_text());
    if (save->state.stream == stream_key(t->config->stream.name))
        return training_insist_on_place(t, &save->state);
    return consumer_drop(t->buffer, t->options.consumer);
}

int training_open(struct training *t)
{
    struct save save = {0};
    struct checkpoint *from = NULL;
    unsigned damaged = 0;
    int result = not_mended(save_read(t->dir, &save, &from, &damaged));
    if (result == ERR_NOTFOUND) result = ERR_OK;
    if (result == ERR_OK && damaged)
        log_event(LOG_WARN, "newest checkpoint is damaged, going on from an older one",
                  LOG_S("why", err_text()), LOG_U("damaged", damaged));
    if (result == ERR_OK && from) result = save_match(&save, t->config);
    if (result == ERR_OK) {
        metrics_set(t->options.metrics, GAUGE_ROWS, (double)save.rows); /* there may be no stream */
        metrics_set(t->options.metrics, GAUGE_STEPS, (double)save.steps);
    }
    if (result == ERR_OK) result = mend_place(t, &save);
    if (result == ERR_OK) result = await_descriptor(t);
    if (result == ERR_OK) result = from ? take_descriptor(t, &save, from) : check_descriptor(t);
    if (result == ERR_OK) result = open_parts(t, &save, from);
    if (from) checkpoint_close(from);
    save_free(&save);
    if (result == ERR_OK) say_plan(t);
    if (result == ERR_OK) training_show_totals(t);
    return result == ERR_OK ? curves_open(t) : result;
}
