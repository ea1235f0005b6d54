#include "cli/progress.h"

#include "cli/shown.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double smoothing_seconds = 8;

/* Exponential smoothing. A total that went back is of a process that began again. */
static void smooth(double *rate, double before, double now, double seconds)
{
    if (isnan(before) || isnan(now) || now < before || seconds <= 0) return;
    double present = (now - before) / seconds, weight = 1 - exp(-seconds / smoothing_seconds);
    *rate = isnan(*rate) ? present : *rate + weight * (present - *rate);
}

void progress_update(struct progress *p, const struct snapshot *now, double seconds)
{
    if (p->snapshots++ == 0) {
        p->token_rate = p->stored_rate = p->trained_rate = NAN;
    } else {
        double passed = seconds - p->last_seconds;
        smooth(&p->token_rate, p->last.tokens, now->tokens, passed);
        smooth(&p->stored_rate, p->last.stored_rows, now->stored_rows, passed);
        /* From 0 it may go to the rows of earlier lives at once. */
        if (p->last.trained_rows > 0)
            smooth(&p->trained_rate, p->last.trained_rows, now->trained_rows, passed);
    }
    double tokens = p->last.tokens;
    p->last = *now;
    if (p->last.tokens < tokens) p->last.tokens = tokens; /* measured first, then streamed */
    p->last_seconds = seconds;
}

static double left(double planned, double done, double rate)
{
    if (!(planned > 0) || isnan(done) || isnan(rate)) return NAN;
    if (planned <= done) return 0;
    return rate > 0 ? (planned - done) / rate : NAN;
}

double progress_eta(const struct progress *p)
{
    double capture =
        p->is_finishing ? NAN : left(p->last.planned_rows, p->last.stored_rows, p->stored_rate);
    double train = left(p->last.planned_draws, p->last.trained_rows, p->trained_rate);
    if (isnan(train)) return NAN;
    return capture > train ? capture : train;
}

void progress_number(double number, char *out, size_t bytes)
{
    if (isnan(number)) {
        snprintf(out, bytes, "-");
        return;
    }
    char digits[32], grouped[48];
    int n = snprintf(digits, sizeof digits, "%.0f", fabs(number) < 1e18 ? number : 1e18);
    int at = 0;
    for (int i = 0; i < n; i++) {
        if (i > (digits[0] == '-') && (n - i) % 3 == 0) grouped[at++] = ',';
        grouped[at++] = digits[i];
    }
    grouped[at] = '\0';
    snprintf(out, bytes, "%s", grouped);
}

void progress_time(double seconds, char *out, size_t bytes)
{
    if (isnan(seconds) || seconds > 8e6) {
        snprintf(out, bytes, "-");
        return;
    }
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, bytes, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, bytes, "%ld:%02ld", s / 60, s % 60);
}

void progress_bytes(double bytes, char *out, size_t room)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    while (bytes >= 1024 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, room, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

/* The order in which columns are left out where a line has no room for all; stage.c has the others. */
enum {
    RANK_TRAINED = 5,
    RANK_ETA = 15,
    RANK_TROUBLE = 18, /* rows that are gone */
    RANK_FVE = 20,
    RANK_BUFFER = 25,
    RANK_TOKENS = 30,
    RANK_TOKEN_RATE = 40,
    RANK_TRAINED_RATE = 45,
    RANK_L0 = 50,
    RANK_DEAD = 55,
    RANK_LEFT_OUT = 60,
    RANK_NONE_SHED = 68,
    RANK_BAR = 70,
    BAR_COLUMNS = 8,
};

static void add_made(const struct progress *p, struct line *line)
{
    char tokens[32], rate[32];
    if (!(p->last.tokens > 0)) return;
    progress_number(p->last.tokens, tokens, sizeof tokens);
    progress_number(p->token_rate, rate, sizeof rate);
    line_add(line, LINE_COLUMN, RANK_TOKENS, LINE_PLAIN, "%s tokens", tokens);
    if (!isnan(p->token_rate))
        line_add(line, LINE_SPACE, RANK_TOKEN_RATE, LINE_PLAIN, "%s/s", rate);
}

static void add_buffer(const struct progress *p, int has_bars, struct line *line)
{
    char bar[64];
    double share = p->last.buffer_slabs / p->last.buffer_capacity_slabs;
    if (!(share > 0)) return;
    line_add(line, LINE_COLUMN, RANK_BUFFER, LINE_PLAIN, "buffer %.0f%%", 100 * share);
    if (!has_bars) return;
    shown_bar_framed(share, BAR_COLUMNS, bar, sizeof bar);
    line_add(line, LINE_SPACE, RANK_BAR, LINE_SOFT, "%s", bar);
}

/* Of no row there is nothing to tell: why there is none stands before all else (stage.h). */
static void add_trained(const struct progress *p, struct line *line)
{
    const struct snapshot *s = &p->last;
    char rows[32], rate[32];
    if (!(s->trained_rows > 0)) return;
    progress_number(s->trained_rows, rows, sizeof rows);
    progress_number(p->trained_rate, rate, sizeof rate);
    line_add(line, LINE_COLUMN, RANK_TRAINED, LINE_PLAIN, "trained %s rows", rows);
    if (!isnan(p->trained_rate))
        line_add(line, LINE_SPACE, RANK_TRAINED_RATE, LINE_PLAIN, "%s/s", rate);
    if (!isnan(s->fve)) line_add(line, LINE_COLUMN, RANK_FVE, LINE_STRONG, "FVE %.4f", s->fve);
    if (!isnan(s->l0)) line_add(line, LINE_SPACE, RANK_L0, LINE_PLAIN, "L0 %.1f", s->l0);
    if (!isnan(s->dead / s->features))
        line_add(line, LINE_SPACE, RANK_DEAD, LINE_PLAIN, "dead %.0f%%",
                 100 * s->dead / s->features);
}

/* " | 1,234 documents, 40 skipped, 5.1% filtered, 3 rejected, 1,000 held out": what is not 0. */
static void add_left_out(const struct snapshot *s, struct line *line)
{
    /* Of rows over all lives: a share of those of this life would jump. */
    double share = isnan(s->norm_rows) ? NAN : 100 * s->filtered_rows / s->tokens;
    const struct {
        double number;
        const char *what;
        int is_trouble;
    } items[] = {{s->documents, s->documents == 1 ? "document" : "documents", 0},
                 {s->skipped, "skipped", 0},
                 {s->replaced, "mended", 0},
                 {share, NULL, 0},
                 {s->rejected_rows, "rejected", 1},
                 {s->held_out_rows, "held out", 0},
                 {s->missed_rows, "missed", 1}};
    int is_first = 1;
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        char number[32];
        if (!(items[i].number > 0)) continue;
        if (items[i].what)
            progress_number(items[i].number, number, sizeof number);
        else
            snprintf(number, sizeof number, items[i].number < 0.1 ? "%.2g%%" : "%.1f%%",
                     items[i].number);
        line_add(line, is_first ? LINE_COLUMN : LINE_COMMA,
                 items[i].is_trouble ? RANK_TROUBLE : RANK_LEFT_OUT,
                 items[i].is_trouble ? LINE_TROUBLE : LINE_PLAIN, "%s %s", number,
                 items[i].what ? items[i].what : "filtered");
        is_first = 0;
    }
}

static void add_shed(double rows, int has_trained, struct line *line)
{
    char number[32];
    if (isnan(rows) || (rows == 0 && !has_trained)) return;
    progress_number(rows, number, sizeof number);
    line_add(line, LINE_COLUMN, rows > 0 ? RANK_TROUBLE : RANK_NONE_SHED,
             rows > 0 ? LINE_TROUBLE : LINE_PLAIN, "shed %s", number);
}

void progress_pieces(const struct progress *p, int has_bars, struct line *line)
{
    char eta[24];
    add_made(p, line);
    add_buffer(p, has_bars, line);
    add_trained(p, line);
    add_left_out(&p->last, line);
    add_shed(p->last.shed_rows, p->last.trained_rows > 0, line);
    progress_time(progress_eta(p), eta, sizeof eta);
    if (!isnan(progress_eta(p))) line_add(line, LINE_COLUMN, RANK_ETA, LINE_STRONG, "ETA %s", eta);
}
