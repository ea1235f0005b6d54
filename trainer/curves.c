#include "trainer/curves.h"

#include "base/err.h"
#include "runtime/log.h"
#include "runtime/process.h"
#include "trainer/events.h"
#include "trainer/gauges.h"
#include "trainer/jsonl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is shown of a feature that never fired in the window: the logarithm of its density. */
static const double never_fired = -10;

static const struct {
    const char *key, *tag, *unit, *meaning;
} table[CURVES] = {
#define ROW(ID, KEY, TAG, UNIT, MEANING) [CURVE_##ID] = {KEY, TAG, UNIT, MEANING},
    CURVES_TABLE(ROW)
#undef ROW
};

/* What a point is measured against: the one before. */
struct mark {
    uint64_t ns, steps, rows;
    struct training_times times;
};

struct curves {
    struct jsonl *jsonl;    /* NULL: off */
    struct events **events; /* (saes); NULL: off */
    uint32_t saes;
    struct mark mark, before; /* of the last point, and of the one ahead of it */
    uint64_t due_steps;       /* a point is due then at the latest */
    uint64_t histogram_ns;    /* when there were some last */
    uint64_t due_histogram_steps, histogram_steps; /* the next, the last */
    uint64_t told_evaluation;                      /* step of the last one that events have */
    int has_failed;                                /* in the point at hand */
    int told_failure;                              /* the log says so */
    float *features;                               /* (F of the widest) */
    struct histogram *density;                     /* (saes): the last ones */
    struct histogram norms;
    struct events_point point;
};

double curves_gap_seconds(double seconds, double least)
{
    return fmax(least, seconds / CURVES_SHARE);
}

double curves_histogram_gap_seconds(double seconds, double least)
{
    return fmax(CURVES_HISTOGRAM_TIMES * least, seconds / CURVES_HISTOGRAM_SHARE);
}

static int wants(const struct training *t, int kind)
{
    return t->config->trainer.curves == CONFIG_CURVES_ALL || t->config->trainer.curves == kind;
}

void curves_jsonl_path(const struct training *t, char *out, size_t bytes)
{
    out[0] = '\0';
    if (wants(t, CONFIG_CURVES_JSONL)) snprintf(out, bytes, "%s/metrics.jsonl", t->dir);
}

void curves_tensorboard_path(const struct training *t, char *out, size_t bytes)
{
    out[0] = '\0';
    if (wants(t, CONFIG_CURVES_TENSORBOARD)) snprintf(out, bytes, "%s/tensorboard", t->dir);
}

/* ---- opening ---- */

static int open_events(struct training *t, struct curves *c, const char *folder)
{
    uint32_t widest = 1;
    int result = ERR_OK;
    c->events = calloc(c->saes, sizeof *c->events);
    for (uint32_t i = 0; i < c->saes && c->events && result == ERR_OK; i++) {
        char path[CONFIG_PATH_BYTES + 96];
        snprintf(path, sizeof path, "%s/%s", folder, t->config->trainer.saes[i].name);
        result = events_new(path, t->steps, &c->events[i]);
        if (t->plan.sae[i].features > widest) widest = t->plan.sae[i].features;
    }
    c->features = malloc(widest * sizeof *c->features);
    c->density = calloc(c->saes, sizeof *c->density);
    if (c->events && c->features && c->density) return result;
    return err_set(ERR_NOMEM, "no memory for the curves");
}

/* The log has it once, till they can be written again. */
static void note(struct training *t, int result)
{
    struct curves *c = t->curves;
    if (result == ERR_OK) return;
    metrics_add(t->options.metrics, GAUGE_LOST_CURVES, 1);
    if (!c->told_failure)
        log_warn("a point of the curves is lost, training goes on without it: %s", err_text());
    c->has_failed = c->told_failure = 1;
}

static void tell_recovery(struct curves *c)
{
    if (c->told_failure && !c->has_failed) log_info("the curves are written again");
    c->told_failure = c->has_failed;
    c->has_failed = 0;
}

/* What lies behind the checkpoint, and what a kill has torn. */
static void take_up(struct training *t)
{
    struct curves *c = t->curves;
    uint64_t cut = 0, more = 0;
    if (c->jsonl) note(t, jsonl_take_up(c->jsonl, &cut));
    for (uint32_t i = 0; i < c->saes && c->events; i++, cut += more)
        note(t, events_take_up(c->events[i], &more));
    if (cut > 0)
        log_event(LOG_INFO, "curves are cut to the checkpoint", LOG_U("step", t->steps),
                  LOG_U("bytes", cut));
}

static void mark_now(struct training *t)
{
    struct curves *c = t->curves;
    if (t->steps != c->mark.steps) c->before = c->mark;
    c->mark = (struct mark){process_now_ns(), t->steps, t->rows, t->times};
    c->due_steps = t->steps + t->steps / 2 + 1;
}

int curves_open(struct training *t)
{
    char lines[CONFIG_PATH_BYTES + 32], folder[CONFIG_PATH_BYTES + 32];
    int result = ERR_OK;
    if (t->config->trainer.curves == CONFIG_CURVES_OFF) return ERR_OK;
    struct curves *c = t->curves = calloc(1, sizeof *c);
    if (!c) return err_set(ERR_NOMEM, "no memory for the curves");
    c->saes = t->plan.saes;
    curves_jsonl_path(t, lines, sizeof lines);
    curves_tensorboard_path(t, folder, sizeof folder);
    if (lines[0]) result = jsonl_new(lines, t->steps, c->saes, &c->jsonl);
    if (result == ERR_OK && folder[0]) result = open_events(t, c, folder);
    if (result != ERR_OK) return result;
    mark_now(t);
    c->before = c->mark;
    c->due_histogram_steps = c->due_steps;
    c->histogram_ns = c->mark.ns;
    log_event(LOG_INFO, "curves", LOG_S("jsonl", lines[0] ? lines : "off"),
              LOG_S("tensorboard", folder[0] ? folder : "off"));
    take_up(t);
    return ERR_OK;
}

void curves_close(struct curves *c)
{
    if (!c) return;
    jsonl_free(c->jsonl);
    for (uint32_t i = 0; i < c->saes && c->events; i++) events_free(c->events[i]);
    free(c->events);
    free(c->features);
    free(c->density);
    free(c);
}

/* ---- a point ---- */

/* Of the whole training: the same for each autoencoder. Speeds are since the point before (of another
 * step). */
struct moment {
    double wall_seconds, seconds, step_seconds, draw_seconds, rows_per_second, waiting_ratio;
};

static struct moment moment_of(const struct training *t)
{
    const struct curves *c = t->curves;
    const struct mark *m = t->steps == c->mark.steps ? &c->before : &c->mark;
    double since = training_seconds_since(m->ns), steps = (double)(t->steps - m->steps);
    return (struct moment){
        .wall_seconds = (double)process_wall_ns() * 1e-9,
        .seconds = training_seconds(t),
        .step_seconds = steps > 0 ? (t->times.stepping - m->times.stepping) / steps : NAN,
        .draw_seconds = steps > 0 ? (t->times.drawing - m->times.drawing) / steps : NAN,
        .rows_per_second = since > 0 ? (double)(t->rows - m->rows) / since : NAN,
        .waiting_ratio = since > 0 ? fmin(1, (t->times.waiting - m->times.waiting) / since) : NAN,
    };
}

static void of_step(const struct training *t, uint32_t i, double *value)
{
    const struct sae_step *s = &t->step[i];
    struct history_point p = training_point(t, i);
    value[CURVE_DEAD] = p.dead;
    value[CURVE_SKIPPED_STEPS] = (double)sae_skipped(t->sae[i]);
    if (!t->life_rows || s->skipped) return;
    value[CURVE_LOSS] = s->loss;
    value[CURVE_BATCH_MSE] = s->mse;
    value[CURVE_BATCH_FVE] = s->fve;
    value[CURVE_BATCH_L0] = s->l0;
    value[CURVE_GRADIENT_NORM] = s->gradient_norm;
    value[CURVE_LEARNING_RATE] = s->learning_rate;
    value[CURVE_LAMBDA] = p.lambda;
}

static void of_held_out(const struct training *t, uint32_t i, double *value)
{
    struct history_point p = training_point(t, i);
    if (!t->eval[i].rows) return;
    value[CURVE_FVE] = p.fve;
    value[CURVE_MSE] = p.mse;
    value[CURVE_L0] = p.l0;
    value[CURVE_HELD_OUT_STEP] = (double)t->evaluated_steps;
}

/* All that is known of SAE i: value[CURVES], NaN where it is not. */
static void gather(const struct training *t, uint32_t i, const struct moment *m, double *value)
{
    for (int n = 0; n < CURVES; n++) value[n] = NAN;
    if (t->plan.sae[i].arch != SAE_COUNT) {
        of_step(t, i, value);
        of_held_out(t, i, value);
    }
    value[CURVE_STEP_SECONDS] = m->step_seconds;
    value[CURVE_DRAW_SECONDS] = m->draw_seconds;
    value[CURVE_ROWS_PER_SECOND] = m->rows_per_second;
    value[CURVE_WAITING_RATIO] = m->waiting_ratio;
}

static void add_line(struct training *t, uint32_t i, const struct moment *m, const double *value)
{
    struct jsonl *j = t->curves->jsonl;
    if (!j) return;
    jsonl_begin(j, t->steps);
    jsonl_count(j, "rows", t->rows);
    jsonl_real(j, "seconds", m->seconds);
    jsonl_count(j, "time", (uint64_t)m->wall_seconds);
    jsonl_text(j, "sae", t->config->trainer.saes[i].name);
    for (int n = 0; n < CURVES; n++) jsonl_real(j, table[n].key, value[n]);
    jsonl_end(j);
}

static int is_of_held_out(int n)
{
    return n == CURVE_FVE || n == CURVE_MSE || n == CURVE_L0;
}

static void add_scalars(struct events_point *p, const double *value, int of_held_out)
{
    for (int n = 0; n < CURVES; n++)
        if (table[n].tag && is_of_held_out(n) == of_held_out)
            p->scalar[p->scalars++] = (struct events_scalar){table[n].tag, value[n]};
}

/* Whether there is a density, in c->density[i]: of the rows since the last one. Where that was of this
 * very step, it is told again. */
static int find_density(struct training *t, uint32_t i)
{
    struct curves *c = t->curves;
    uint32_t n = t->plan.sae[i].features;
    if (!sae_fired(t->sae[i], c->features))
        return c->density[i].num > 0 && c->histogram_steps == t->steps;
    for (uint32_t f = 0; f < n; f++)
        c->features[f] = (float)fmax(never_fired, log10((double)c->features[f]));
    histogram_make(c->features, n, never_fired, 0, &c->density[i]);
    return 1;
}

static void add_histogram(struct events_point *p, const char *tag, const struct histogram *h)
{
    p->histogram[p->histograms].tag = tag;
    p->histogram[p->histograms++].values = h;
}

static void add_histograms(struct training *t, uint32_t i, struct events_point *p)
{
    struct curves *c = t->curves;
    if (sae_decoder_norms(t->sae[i], c->features) != ERR_OK) return; /* `count` */
    histogram_make_about(c->features, t->plan.sae[i].features, &c->norms);
    add_histogram(p, CURVES_NORMS_TAG, &c->norms);
    if (find_density(t, i)) add_histogram(p, CURVES_DENSITY_TAG, &c->density[i]);
}

/* Numbers of held-out rows stand at the step at which these were looked at. */
static int add_events(struct training *t, uint32_t i, double wall_seconds, const double *value,
                      int with_histograms)
{
    struct curves *c = t->curves;
    struct events_point *p = &c->point;
    int result = ERR_OK, is_new = t->evaluated_steps > c->told_evaluation;
    if (!c->events) return ERR_OK;
    if (is_new && t->evaluated_steps < t->steps) {
        *p = (struct events_point){.steps = t->evaluated_steps, .wall_seconds = wall_seconds};
        add_scalars(p, value, 1);
        result = events_add(c->events[i], p);
    }
    *p = (struct events_point){.steps = t->steps, .wall_seconds = wall_seconds};
    add_scalars(p, value, 0);
    if (is_new && t->evaluated_steps == t->steps) add_scalars(p, value, 1);
    if (with_histograms) add_histograms(t, i, p);
    return result == ERR_OK ? events_add(c->events[i], p) : result;
}

static void add_point(struct training *t, int with_histograms)
{
    struct curves *c = t->curves;
    struct moment moment = moment_of(t);
    double value[CURVES];
    for (uint32_t i = 0; i < c->saes; i++) {
        gather(t, i, &moment, value);
        add_line(t, i, &moment, value);
        note(t, add_events(t, i, moment.wall_seconds, value, with_histograms));
    }
    if (c->jsonl) note(t, jsonl_write(c->jsonl));
    tell_recovery(c);
    c->told_evaluation = t->evaluated_steps;
    mark_now(t);
    if (!with_histograms) return;
    c->histogram_ns = c->mark.ns;
    c->histogram_steps = t->steps;
    c->due_histogram_steps = 2 * t->steps;
}

/* ---- when ---- */

/* An evaluation draws the next point near, so that both lie at one step. */
static int point_is_due(const struct training *t)
{
    const struct curves *c = t->curves;
    double since = training_seconds_since(c->mark.ns);
    double gap = curves_gap_seconds(training_seconds(t), t->config->trainer.curves_seconds);
    int is_evaluated = t->evaluated_steps == t->steps;
    return t->steps >= c->due_steps || since >= (is_evaluated ? gap / 2 : gap);
}

static int histograms_are_due(const struct training *t)
{
    const struct curves *c = t->curves;
    double gap =
        curves_histogram_gap_seconds(training_seconds(t), t->config->trainer.curves_seconds);
    return c->events &&
           (t->steps >= c->due_histogram_steps || training_seconds_since(c->histogram_ns) >= gap);
}

void curves_look(struct training *t)
{
    if (t->curves && point_is_due(t)) add_point(t, histograms_are_due(t));
}

/* A point of this step is told again: by now it is known better. But not by a life without a step,
 * which knows less than the one before. */
void curves_end(struct training *t)
{
    struct curves *c = t->curves;
    if (!c || !t->steps) return;
    if (!t->life_rows && !(c->jsonl && jsonl_steps(c->jsonl) < t->steps)) return;
    if (c->told_evaluation >= t->steps) c->told_evaluation = t->steps - 1;
    add_point(t, c->events != NULL);
}

static void markdown_row(int n, FILE *out)
{
    fprintf(out, "| `%s` | %s%s%s | %s | %s |\n", table[n].key, table[n].tag ? "`" : "",
            table[n].tag ? table[n].tag : "", table[n].tag ? "`" : "",
            strcmp(table[n].unit, "none") == 0 ? "" : table[n].unit, table[n].meaning);
}

void curves_markdown(FILE *out)
{
    fputs(
        "\n### Curves\n\n"
        "What a trainer writes down of each autoencoder ([CURVES.md](CURVES.md)), besides `step`, "
        "`rows`, `seconds`, `time` and `sae`.\n\n"
        "| key in metrics.jsonl | tag in TensorBoard | unit | meaning |\n|---|---|---|---|\n",
        out);
    for (int n = 0; n < CURVES; n++) markdown_row(n, out);
    fputs("|  | `" CURVES_DENSITY_TAG
          "` |  | Histogram over the features: logarithm (base 10) of the "
          "share of rows in which a feature fired, of the rows trained on since the histogram "
          "before; "
          "-10: in none. |\n"
          "|  | `" CURVES_NORMS_TAG "` |  | Histogram over the features: norm (L2) of a feature's "
          "direction in the decoder, as it is trained: of scaled rows, over all hooks that it "
          "writes. |\n",
          out);
}
