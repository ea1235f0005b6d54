#include "trainer/whitening.h"

#include "base/err.h"
#include "runtime/log.h"
#include "runtime/process.h"
#include "trainer/stage.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_ROWS = 1024 };

static uint32_t widths_of(const struct training *t, uint32_t *widths)
{
    const struct descriptor *d = &t->plan.descriptor;
    for (uint32_t h = 0; h < d->hooks; h++) widths[h] = d->hook[h].width;
    return d->hooks;
}

static void say(const struct training *t, double seconds)
{
    const struct whiten_facts *f = whiten_facts(t->whiten);
    for (uint32_t h = 0; h < f->hooks; h++)
        log_event(LOG_INFO, "whitening", LOG_S("hook", t->plan.descriptor.hook[h].name),
                  LOG_U("rows", f->rows), LOG_U("values", f->hook[h].width),
                  LOG_D("floor", WHITEN_FLOOR), LOG_U("floored", f->hook[h].floored),
                  LOG_D("largest_eigenvalue", f->hook[h].largest),
                  LOG_D("smallest_eigenvalue", f->hook[h].smallest), LOG_D("seconds", seconds));
}

/* Up to `wanted` rows into the measure; fewer where no more can come before some are freed. */
static int read_rows(struct training *t, struct draw *draw, uint64_t wanted, float *values,
                     struct row_id *ids, struct whiten_measure *measure)
{
    for (uint64_t got = 0; got < wanted;) {
        stage_enter(t, PHASE_WHITENING, got, wanted);
        struct draw_batch batch = {.values = values, .ids = ids, .rows = CHUNK_ROWS};
        if (wanted - got < batch.rows) batch.rows = (size_t)(wanted - got);
        uint64_t limit = draw_gauges(draw).capacity_rows / 4;
        if (limit < batch.rows) batch.rows = (size_t)limit;
        int result = draw_next(draw, &batch);
        if (result == ERR_NOTFOUND) return ERR_OK;
        if (result == ERR_AGAIN && atomic_load(&t->stop)) return ERR_AGAIN;
        if (result == ERR_AGAIN)
            training_wait_rows(t, draw);
        else if (result != ERR_OK)
            return result;
        if (result == ERR_AGAIN) continue;
        training_scale_rows(t, values, batch.rows);
        whiten_measure_add(measure, values, batch.rows);
        got += batch.rows;
    }
    return ERR_OK;
}

/* The rows are drawn as for training, by a reader of its own: it takes none away. */
static int measure_rows(struct training *t, const struct draw_options *options, uint64_t wanted,
                        struct whiten_measure *measure)
{
    struct draw_options own = *options;
    struct draw *draw = NULL;
    own.reuse = 1;
    own.held_out = NULL;
    float *values = malloc((size_t)CHUNK_ROWS * t->plan.width * sizeof *values);
    struct row_id *ids = malloc(CHUNK_ROWS * sizeof *ids);
    int result = values && ids ? training_draw_open(t, &own, &draw)
                               : err_set(ERR_NOMEM, "no memory to measure a covariance");
    if (result == ERR_OK) {
        uint64_t quarter = draw_gauges(draw).capacity_rows / 4;
        result = read_rows(t, draw, wanted < quarter ? wanted : quarter, values, ids, measure);
    }
    draw_close(draw);
    free(values);
    free(ids);
    return result;
}

static int measure(struct training *t, const struct draw_options *draw)
{
    uint32_t widths[ROW_MAX_HOOKS], hooks = widths_of(t, widths);
    uint64_t wanted = whiten_rows_wanted(widths, hooks), begin_ns = process_now_ns();
    struct whiten_measure *m;
    int result = whiten_measure_new(widths, hooks, t->plan.mean, t->pool, &m);
    if (result != ERR_OK) return result;
    log_event(LOG_INFO, "measuring the covariance to whiten by", LOG_U("rows", wanted));
    result = measure_rows(t, draw, wanted, m);
    if (result == ERR_OK) result = whiten_measure_end(m, &t->whiten);
    whiten_measure_free(m);
    if (result == ERR_OK) say(t, training_seconds_since(begin_ns));
    return result;
}

int whitening_open(struct training *t, const struct draw_options *draw,
                   const struct checkpoint *from)
{
    uint32_t widths[ROW_MAX_HOOKS], hooks = widths_of(t, widths);
    if (!t->config->trainer.whiten) return ERR_OK;
    int result = from ? whiten_load(from, widths, hooks, t->pool, &t->whiten) : measure(t, draw);
    if (result == ERR_OK) memset(t->plan.mean, 0, t->plan.width * sizeof *t->plan.mean);
    return result;
}

json_t *whitening_json(const struct training *t)
{
    return t->whiten ? whiten_json(t->whiten) : json_null();
}
