#include "cli/progress.h"

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
    double capture = left(p->last.planned_rows, p->last.stored_rows, p->stored_rate);
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

static void percent(double share, char *out, size_t bytes)
{
    if (isnan(share))
        snprintf(out, bytes, "-");
    else
        snprintf(out, bytes, "%.0f%%", 100 * share);
}

static void decimal(double x, int digits, char *out, size_t bytes)
{
    if (isnan(x))
        snprintf(out, bytes, "-");
    else
        snprintf(out, bytes, "%.*f", digits, x);
}

/* " | 1,234 documents, 40 skipped, 5.1% filtered, 3 rejected, 1,000 held out": what is not 0. */
static void left_out(const struct snapshot *s, char *out, size_t bytes)
{
    /* Of rows over all lives: a share of those of this life would jump. */
    double share = isnan(s->norm_rows) ? NAN : 100 * s->filtered_rows / s->tokens;
    const struct {
        double number;
        const char *what;
    } items[] = {{s->documents, s->documents == 1 ? "document" : "documents"},
                 {s->skipped, "skipped"},
                 {s->replaced, "mended"},
                 {share, NULL},
                 {s->rejected_rows, "rejected"},
                 {s->held_out_rows, "held out"},
                 {s->passed_over_rows, "passed over"}};
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        char number[32];
        if (!(items[i].number > 0) || used + 1 >= bytes) continue;
        if (items[i].what)
            progress_number(items[i].number, number, sizeof number);
        else
            snprintf(number, sizeof number, items[i].number < 0.1 ? "%.2g%%" : "%.1f%%",
                     items[i].number);
        used += (size_t)snprintf(out + used, bytes - used, "%s%s %s", used ? ", " : " | ", number,
                                 items[i].what ? items[i].what : "filtered");
    }
}

void progress_line(const struct progress *p, double seconds, char *out, size_t bytes)
{
    const struct snapshot *s = &p->last;
    char time[24], tokens[32], token_rate[32], fill[24], rows[32], rate[32], fve[24], l0[24],
        dead[24], shed[32], eta[24], left_words[256];
    progress_time(seconds, time, sizeof time);
    progress_number(s->tokens, tokens, sizeof tokens);
    progress_number(p->token_rate, token_rate, sizeof token_rate);
    percent(s->buffer_slabs / s->buffer_capacity_slabs, fill, sizeof fill);
    progress_number(s->trained_rows, rows, sizeof rows);
    progress_number(p->trained_rate, rate, sizeof rate);
    decimal(s->fve, 4, fve, sizeof fve);
    decimal(s->l0, 1, l0, sizeof l0);
    percent(s->dead / s->features, dead, sizeof dead);
    progress_number(s->shed_rows, shed, sizeof shed);
    progress_time(progress_eta(p), eta, sizeof eta);
    left_out(s, left_words, sizeof left_words);
    snprintf(out, bytes,
             "%s  %s%s%s tokens %s/s | buffer %s | trained %s rows %s/s | FVE %s L0 %s dead %s%s | "
             "shed %s | ETA %s",
             time, p->notice, p->notice[0] ? " | " : "", tokens, token_rate, fill, rows, rate, fve,
             l0, dead, left_words, shed, eta);
}
