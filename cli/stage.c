#include "cli/stage.h"

#include "cli/progress.h"
#include "cli/shown.h"
#include "proto/phase.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LOOKS = 2, BAR_COLUMNS = 10 };
/* The order in which pieces are left out: progress.c has the others. */
enum {
    RANK_NAME = 1,
    RANK_LEFT = 10,
    RANK_WHY = 12,
    RANK_OPTION = 37,
    RANK_BAR = 65,
    RANK_LOG = 80
};

static const double least_seconds = 2; /* of a rate */

static const char *const names[STAGES] = {
    [STAGE_STARTING] = "starting the processes",
    [STAGE_OPENING] = "opening the engine",
    [STAGE_READING] = "reading the model, once",
    [STAGE_CHECKING] = "checking the model, once",
    [STAGE_PREPARING] = "preparing the model, once",
    [STAGE_AWAITING] = "waits for a program's rows",
    [STAGE_MEASURING] = "measuring the rows' norms",
    [STAGE_COUNTING] = "counting the corpus's tokens",
    [STAGE_ASKING] = "waits for the sink",
    [STAGE_NO_CAPTURE] = "waits for a capture",
    [STAGE_NO_TRAINER] = "waits for a trainer",
    [STAGE_LOADING] = "opening the autoencoders",
    [STAGE_WHITENING] = "measuring the covariance",
    [STAGE_FILLING] = "filling the buffer",
    [STAGE_FIRST_STEP] = "the first training step",
    [STAGE_EVALUATING] = "evaluating held-out rows",
    [STAGE_CHECKPOINTING] = "writing a checkpoint",
    [STAGE_EXPORTING] = "writing the exports",
};

/* ---- which it is ---- */

static enum stage_kind kind_of_capture(int phase)
{
    static const enum stage_kind kinds[PHASES_OF_CAPTURE] = {
        [PHASE_OPENING] = STAGE_OPENING,   [PHASE_READING] = STAGE_READING,
        [PHASE_CHECKING] = STAGE_CHECKING, [PHASE_PREPARING] = STAGE_PREPARING,
        [PHASE_AWAITING] = STAGE_AWAITING, [PHASE_MEASURING] = STAGE_MEASURING,
        [PHASE_COUNTING] = STAGE_COUNTING, [PHASE_ASKING] = STAGE_ASKING,
    };
    return kinds[phase];
}

static enum stage_kind kind_of_trainer(const struct snapshot *s)
{
    static const enum stage_kind kinds[PHASES_OF_TRAINER] = {
        [PHASE_LOADING] = STAGE_LOADING,       [PHASE_WHITENING] = STAGE_WHITENING,
        [PHASE_FILLING] = STAGE_FILLING,       [PHASE_TRAINING] = STAGE_FIRST_STEP,
        [PHASE_EVALUATING] = STAGE_EVALUATING, [PHASE_CHECKPOINTING] = STAGE_CHECKPOINTING,
        [PHASE_EXPORTING] = STAGE_EXPORTING,
    };
    return kinds[s->trainer_phase];
}

/* While rows are trained, only what holds that up. */
static enum stage_kind kind_later(const struct snapshot *s)
{
    int is_other = s->trainer_phase >= PHASE_EVALUATING;
    return is_other ? kind_of_trainer(s) : STAGE_NONE;
}

static enum stage_kind kind_of(const struct config *config, const struct snapshot *s)
{
    if (!s) return STAGE_STARTING;
    if (s->trained_rows > 0) return kind_later(s);
    enum stage_kind capture = s->capture_phase < 0 ? STAGE_NONE : kind_of_capture(s->capture_phase);
    /* Rows came: the last that is known of a short share may be how it began. */
    int has_rows = s->streaming_captures || (s->life_rows > 0 && s->trainer_phase > PHASE_LOADING);
    if (capture != STAGE_NONE && !has_rows) return capture;
    if (!s->captures && s->trainer_phase <= PHASE_LOADING) return STAGE_NO_CAPTURE;
    if (s->trainer_phase >= 0) return kind_of_trainer(s);
    return config->trainer.consumers.count ? STAGE_NO_TRAINER : STAGE_NONE;
}

static int is_of_trainer(enum stage_kind kind)
{
    return kind >= STAGE_LOADING;
}

void stage_update(struct stage *g, const struct config *config, const struct snapshot *s,
                  double seconds)
{
    enum stage_kind kind = kind_of(config, s);
    double done = 0, size = 0;
    if (s && kind != STAGE_NONE) {
        done = is_of_trainer(kind) ? s->trainer_phase_done : s->capture_phase_done;
        size = is_of_trainer(kind) ? s->trainer_phase_size : s->capture_phase_size;
    }
    int has_reported = g->has_reported || (s && (s->trainer_phase >= 0 || s->trained_rows > 0));
    if (kind != g->kind || g->looks == 0 || done < g->begun_done)
        *g = (struct stage){.kind = kind, .begun_seconds = seconds, .begun_done = done};
    g->has_reported = has_reported;
    g->done = done;
    g->size = size;
    g->seconds = seconds;
    g->has_trained = s && s->trained_rows > 0;
    g->is_live = config->capture.engine == CONFIG_RING;
    g->looks++;
}

double stage_eta(const struct stage *g)
{
    double passed = g->seconds - g->begun_seconds, moved = g->done - g->begun_done;
    if (!(g->size > g->done) || !(moved > 0) || passed < least_seconds) return NAN;
    return (g->size - g->done) * passed / moved;
}

/* ---- in words ---- */

/* What a person can do with: 5 s, 25 s, 3 min, 2 h. */
static void about(double seconds, char *out, size_t bytes)
{
    out[0] = '\0';
    if (isnan(seconds)) return;
    if (seconds < 57.5)
        snprintf(out, bytes, "about %.0f s", fmax(5, 5 * ceil(seconds / 5 - 0.5)));
    else if (seconds < 5370)
        snprintf(out, bytes, "about %.0f min", fmax(1, round(seconds / 60)));
    else
        snprintf(out, bytes, "about %.0f h", round(seconds / 3600));
}

static double share_of(const struct stage *g)
{
    return g->size > 0 ? fmin(1, fmax(0, g->done / g->size)) : NAN;
}

/* ": 34%", ": 34% of 2.4 GiB", ": 1,234 so far"; "" where nothing is known. */
static void how_far(const struct stage *g, char *out, size_t bytes)
{
    char number[32];
    int percent = (int)(100 * share_of(g)); /* 100 only where it is all */
    out[0] = '\0';
    if (g->kind == STAGE_COUNTING && g->done > 0) {
        progress_number(g->done, number, sizeof number);
        snprintf(out, bytes, ": %s so far", number);
    } else if (g->size > 0 && (g->kind == STAGE_READING || g->kind == STAGE_PREPARING)) {
        progress_bytes(g->size, number, sizeof number);
        snprintf(out, bytes, ": %d%% of %s", percent, number);
    } else if (g->size > 0) {
        snprintf(out, bytes, ": %d%%", percent);
    }
}

/* What is waited for. */
static void why(const struct stage *g, const struct config *config, char *out, size_t bytes)
{
    char number[32];
    progress_number(g->size, number, sizeof number);
    out[0] = '\0';
    if (g->kind == STAGE_FILLING && g->size > 0)
        snprintf(out, bytes, "training begins with %s rows", number);
    else if (g->kind == STAGE_MEASURING && g->size > 0)
        snprintf(out, bytes, "on the first %s %s", number, g->is_live ? "rows" : "contexts");
    else if (g->kind == STAGE_COUNTING)
        snprintf(out, bytes, "to know how long the run is");
    else if (g->kind == STAGE_AWAITING)
        snprintf(out, bytes, "sluice tap %s -- PROGRAM", config->file);
    else if (g->kind == STAGE_WHITENING && g->size > 0)
        snprintf(out, bytes, "to whiten by, on %s rows", number);
    else if (g->kind == STAGE_NO_CAPTURE || g->kind == STAGE_NO_TRAINER)
        snprintf(out, bytes,
                 g->has_reported ? "it says nothing: is it stopped?" : "none has reported yet");
    else if (g->kind == STAGE_LOADING)
        snprintf(out, bytes, "once the sink has a buffer");
}

/* The option that decides it; NULL: none. */
static const char *option_of(const struct stage *g, const struct config *config)
{
    if (g->kind == STAGE_FILLING)
        return config->trainer.min_rows ? "trainer.min_rows" : "half a buffer: trainer.min_rows";
    if (g->kind == STAGE_MEASURING) return "capture.measure_contexts";
    if (g->kind == STAGE_COUNTING) return "skipped where capture.rows is set";
    return g->kind == STAGE_WHITENING ? "trainer.whiten" : NULL;
}

static int tells_log(enum stage_kind kind)
{
    return kind <= STAGE_PREPARING || kind == STAGE_ASKING || kind == STAGE_NO_CAPTURE;
}

int stage_is_named(const struct stage *g)
{
    return g->kind != STAGE_NONE && (!g->has_trained || g->looks >= LOOKS);
}

void stage_pieces(const struct stage *g, const struct config *config, const char *log, int has_bars,
                  struct line *line)
{
    char far[64], left[32], text[256], bar[64];
    int is_first = line->count < 2; /* otherwise there is a notice */
    if (!stage_is_named(g)) return;
    how_far(g, far, sizeof far);
    about(stage_eta(g), left, sizeof left);
    why(g, config, text, sizeof text);
    line_add(line, LINE_COLUMN, is_first ? LINE_ALWAYS : RANK_NAME, LINE_STRONG, "%s%s",
             names[g->kind], far);
    line_add(line, LINE_COMMA, RANK_LEFT, LINE_PLAIN, "%s", left);
    if (has_bars && g->size > 0) {
        shown_bar_framed(share_of(g), BAR_COLUMNS, bar, sizeof bar);
        line_add(line, LINE_SPACE, RANK_BAR, LINE_PLAIN, "%s", bar);
    }
    line_add(line, LINE_COLUMN, RANK_WHY, LINE_PLAIN, "%s", text);
    if (option_of(g, config))
        line_add(line, LINE_SPACE, RANK_OPTION, LINE_SOFT, "(%s)", option_of(g, config));
    if (!tells_log(g->kind) || !strncmp(log, names[g->kind], strlen(names[g->kind]))) return;
    line_add(line, LINE_COLUMN, RANK_LOG, LINE_SOFT, "%s", log);
    line_may_cut(line);
}
