/* How the autoencoders do on rows that they never saw: when to look, and what is written down. */
#include "trainer/state.h"

#include "base/err.h"
#include "runtime/log.h"
#include "runtime/process.h"
#include "trainer/gauges.h"
#include "trainer/seen.h"
#include "trainer/stage.h"

#include <math.h>
#include <stdio.h>

enum { EVALUATION_SHARE = 50 };

uint32_t training_dead(const struct training *t, uint32_t i)
{
    return sae_silent(t->sae[i], sae_options(t->sae[i])->dead_window_rows);
}

struct history_point training_point(const struct training *t, uint32_t i)
{
    const struct sae_eval *e = &t->eval[i];
    const struct sae_step *s = &t->step[i];
    return (struct history_point){
        .sae = t->config->trainer.saes[i].name,
        .flops = plan_flops_a_row(&t->plan.sae[i]) * (double)t->rows,
        .loss = t->life_rows && !s->skipped ? s->loss : NAN,
        .mse = e->rows >= TRAINING_FVE_ROWS ? e->mse : NAN,
        .fve = e->rows >= TRAINING_FVE_ROWS ? e->fve : NAN,
        .l0 = e->rows        ? e->l0
              : t->life_rows ? s->l0
                             : NAN,
        .dead = t->rows ? training_dead(t, i) : NAN,
        .lr = t->life_rows ? t->plan.sae[i].learning_rate : NAN,
        .batch_rows = t->life_rows ? t->plan.batch_rows : NAN,
        .rate = t->life_rows ? s->learning_rate : NAN,
        .lambda = t->life_rows && t->plan.sae[i].lambda > 0 ? s->lambda : NAN,
    };
}

int evaluation_record(struct training *t)
{
    struct history_point points[CONFIG_MAX_SAES];
    uint32_t count = 0;
    if (!t->life_rows && history_steps(t->history) == t->steps) return ERR_OK; /* it knows more */
    for (uint32_t i = 0; i < t->plan.saes; i++)
        if (t->plan.sae[i].arch != SAE_COUNT) points[count++] = training_point(t, i);
    return history_add(t->history, t->steps, t->rows, training_seconds(t), points, count);
}

static const char *const no_fve_words[] = {
    [SAE_HAS_FVE] = "",
    [SAE_EQUAL_ROWS] = "the held-out rows are all equal",
    [SAE_BOUNDLESS_ROWS] = "the variance of the held-out rows is not finite",
    [SAE_BROKEN] = "the reconstruction is not finite",
};

void evaluation_no_fve(const struct training *t, uint32_t i, char *out, size_t bytes)
{
    const struct sae_eval *e = &t->eval[i];
    if (e->rows < TRAINING_FVE_ROWS)
        snprintf(out, bytes, "%llu held-out rows are fewer than 2,000",
                 (unsigned long long)e->rows);
    else
        snprintf(out, bytes, "%s", no_fve_words[e->no_fve]);
}

/* Once for each reason. */
static void tell_no_fve(struct training *t, uint32_t i)
{
    enum sae_no_fve why = t->eval[i].no_fve;
    unsigned bit = 1U << why;
    if (why == SAE_HAS_FVE || t->told_no_fve & bit) return;
    t->told_no_fve |= bit;
    if (why == SAE_BROKEN)
        log_warn("no FVE of autoencoder %s: %s; HINT: lower its lr, or leave extreme rows out "
                 "(capture.max_norm_ratio)",
                 t->config->trainer.saes[i].name, no_fve_words[why]);
    else
        log_warn("no FVE: %s; HINT: look at where the rows come from%s", no_fve_words[why],
                 why == SAE_BOUNDLESS_ROWS ? ", or leave extreme ones out (capture.max_norm_ratio)"
                                           : "");
}

int evaluation_make(struct training *t)
{
    uint64_t rows = held_out_rows(t->held_out), begin_ns = process_now_ns();
    int enough = rows >= TRAINING_FVE_ROWS;
    stage_enter(t, PHASE_EVALUATING, 0, 0);
    for (uint32_t i = 0; i < t->plan.saes; i++) {
        if (t->plan.sae[i].arch == SAE_COUNT) continue;
        struct seen seen;
        int result = seen_begin(t, i, 1, &seen);
        if (result != ERR_OK) return result;
        const float *x = seen.rows ? seen.rows : held_out_values(t->held_out);
        result = whiten_evaluate(seen.fold.whiten, t->sae[i], x, rows, &t->eval[i]);
        seen_end(&seen);
        if (result != ERR_OK) return result;
        if (enough) metrics_set_at(t->options.metrics, GAUGE_FVE, i, t->eval[i].fve);
        if (enough) tell_no_fve(t, i);
        metrics_set_at(t->options.metrics, GAUGE_L0, i, t->eval[i].l0);
        metrics_set_at(t->options.metrics, GAUGE_DEAD, i, t->eval[i].dead);
        log_event(LOG_INFO, "evaluation", LOG_S("sae", t->config->trainer.saes[i].name),
                  LOG_U("step", t->steps), LOG_U("held_out_rows", rows),
                  LOG_D("fve", enough ? t->eval[i].fve : NAN), LOG_D("l0", t->eval[i].l0),
                  LOG_U("dead", t->eval[i].dead));
    }
    if (enough) atomic_store(&t->evaluated, 1);
    t->evaluated_steps = t->steps;
    double took = training_seconds_since(begin_ns);
    t->times.evaluating += took;
    metrics_add(t->options.metrics, GAUGE_EVALUATION_SECONDS, took);
    t->evaluation_row_seconds = took / (double)rows;
    return ERR_OK;
}

/* Whether an evaluation is within a fiftieth of the time: a large SAE on many rows must not spend
 * its run on looking at itself. Half of what the whole run will have may be spent early, in step
 * with the logarithm of the steps. */
static int affordable(const struct training *t)
{
    const struct plan *p = &t->plan;
    double may_take = training_seconds_since(t->started_ns);
    if (p->planned_rows > t->rows && t->life_rows > 0) {
        double working = t->times.drawing + t->times.stepping;
        double left = working * (double)(p->planned_rows - t->rows) / (double)t->life_rows;
        double share = log1p((double)t->steps) / log1p((double)p->planned_steps);
        if (may_take < (may_take + left) / 2 * share) may_take = (may_take + left) / 2 * share;
    }
    double will_take = t->evaluation_row_seconds * (double)held_out_rows(t->held_out);
    return (t->times.evaluating + will_take) * EVALUATION_SHARE <= may_take;
}

int evaluation_if_due(struct training *t)
{
    if (process_now_ns() < t->evaluate_ns && t->steps < t->evaluate_steps) return ERR_OK;
    if (held_out_rows(t->held_out) >= TRAINING_FVE_ROWS) {
        if (!affordable(t)) return ERR_OK;
        int result = evaluation_make(t);
        if (result != ERR_OK) return result;
    }
    t->evaluate_steps = t->steps + t->steps / 2 + 1;
    t->evaluate_ns = process_now_ns() + (uint64_t)(t->config->trainer.eval_seconds * 1e9);
    return evaluation_record(t);
}
