#include "broker/overview.h"

#include "proto/report.h"
#include "proto/ring.h"

#include <math.h>

static const double least_growth = 1e-4; /* slabs per second: a buffer that does not fill */

enum how { SUM, GREATEST, LEAST, DERIVED };

#define NAME_OF(ID, NAME, HOW) [OVERVIEW_##ID] = NAME,
#define HOW_OF(ID, NAME, HOW)  [OVERVIEW_##ID] = HOW,
const char *const overview_names[OVERVIEW_IDS] = {OVERVIEW_TABLE(NAME_OF)};
static const enum how how[OVERVIEW_IDS] = {OVERVIEW_TABLE(HOW_OF)};

struct overview overview_none(void)
{
    struct overview o;
    for (int i = 0; i < OVERVIEW_IDS; i++) o.value[i] = NAN;
    o.lost_by_captures = o.lost_by_trainer = NAN;
    return o;
}

/* Where 0 stands for what is not known. */
static double known(double x)
{
    return x > 0 ? x : NAN;
}

static double share(double x)
{
    return x > 1 ? 1 : x;
}

/* Of a producer's rows all lives are told where it tells that, else this one. */
static double all_or_life(double all, double life)
{
    return isnan(all) ? life : all;
}

static double rejected(const json_t *report)
{
    return all_or_life(
        report_labelled(report, REPORT_CAPTURE_STREAM_ROWS, report_fates[REPORT_REJECTED]),
        report_number(report, REPORT_CAPTURE_REJECTED_ROWS));
}

/* Of two of which nobody may say one. */
static double sum_of(double a, double b)
{
    return isnan(a) ? b : isnan(b) ? a : a + b;
}

/* Too old when they came, or in a program that ended in between: programs count those themselves, and a
 * capture that is started again finds the counts of all that run still. */
static double lost(const json_t *report)
{
    return sum_of(all_or_life(report_number(report, REPORT_CAPTURE_STREAM_EXPIRED_ROWS),
                              report_number(report, REPORT_CAPTURE_EXPIRED_ROWS)),
                  report_labelled(report, REPORT_RING_ROWS, ring_count_labels[RING_ABANDONED]));
}

static void read_capture(const json_t *report, const json_t *rates, double *v)
{
    v[OVERVIEW_CAPTURED_RATE] = report_number(rates, REPORT_CAPTURE_ROWS);
    v[OVERVIEW_SHED_RATE] = report_number(rates, REPORT_CAPTURE_SHED_ROWS);
    v[OVERVIEW_TOKEN_RATE] = report_number(rates, REPORT_CAPTURE_TOKENS);
    v[OVERVIEW_PACKED_RATE] = report_number(rates, REPORT_CAPTURE_SENT_BYTES);
    v[OVERVIEW_CREDIT_WAIT] = share(report_number(rates, REPORT_CAPTURE_BLOCKED_SECONDS));
    v[OVERVIEW_LAG_ROWS] = report_number(report, REPORT_CAPTURE_IN_FLIGHT_ROWS);
    v[OVERVIEW_DISK_WAIT] = report_number(report, REPORT_CAPTURE_DISK_WAITING_SECONDS);
    v[OVERVIEW_PLANNED_ROWS] = known(report_number(report, REPORT_STREAM_PLANNED_ROWS));
    v[OVERVIEW_SHED_ROWS] = report_shed_rows(report);
    v[OVERVIEW_REJECTED_ROWS] = rejected(report);
}

static void read_sink(const json_t *report, const json_t *rates, double *v)
{
    double all_lives = report_number(report, REPORT_SINK_STREAM_ROWS);
    v[OVERVIEW_STORED_RATE] = report_number(rates, REPORT_SINK_ROWS);
    v[OVERVIEW_RAW_RATE] = report_number(rates, REPORT_SINK_BYTES);
    v[OVERVIEW_BUFFER_SLABS] = report_number(report, REPORT_SINK_BUFFER_SLABS);
    v[OVERVIEW_CAPACITY_SLABS] = report_number(report, REPORT_SINK_CAPACITY_SLABS);
    v[OVERVIEW_BUFFER_ROWS] = report_number(report, REPORT_SINK_BUFFER_ROWS);
    v[OVERVIEW_SINK_LAG] = report_number(report, REPORT_SINK_LAG_SECONDS);
    v[OVERVIEW_DISK_WAIT] = report_number(report, REPORT_SINK_DISK_WAITING_SECONDS);
    v[OVERVIEW_PLANNED_ROWS] = known(report_number(report, REPORT_STREAM_PLANNED_ROWS));
    v[OVERVIEW_STREAM_ROWS] =
        isnan(all_lives) ? report_number(report, REPORT_SINK_ROWS) : all_lives;
}

static void read_trainer(const json_t *report, const json_t *rates, double *v)
{
    v[OVERVIEW_TRAINED_RATE] = report_number(rates, REPORT_TRAINER_ROWS);
    v[OVERVIEW_DRAW_WAIT] = share(report_number(rates, REPORT_TRAINER_WAIT_SECONDS));
    v[OVERVIEW_AGE] = report_number(report, REPORT_TRAINER_AGE_SECONDS);
    v[OVERVIEW_DISK_WAIT] = report_number(report, REPORT_TRAINER_DISK_WAITING_SECONDS);
    v[OVERVIEW_TRAINED_ROWS] = report_number(report, REPORT_TRAINER_ROWS);
    v[OVERVIEW_PLANNED_DRAWS] = known(report_number(report, REPORT_TRAINER_PLANNED_ROWS));
}

struct overview overview_read(enum process_kind kind, const json_t *report, const json_t *rates)
{
    struct overview part = overview_none();
    if (kind == PROCESS_CAPTURE) read_capture(report, rates, part.value);
    if (kind == PROCESS_SINK) read_sink(report, rates, part.value);
    if (kind == PROCESS_TRAINER) read_trainer(report, rates, part.value);
    if (kind == PROCESS_CAPTURE) part.lost_by_captures = lost(report);
    if (kind == PROCESS_TRAINER)
        part.lost_by_trainer = report_number(report, REPORT_TRAINER_SKIPPED_ROWS);
    return part;
}

static double mean_rate(const struct overview_past *past, int id)
{
    double sum = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < past->count; i++) {
        if (isnan(past->rate[i][id])) continue;
        sum += past->rate[i][id];
        count++;
    }
    return count ? sum / count : NAN;
}

void overview_smooth(struct overview *part, struct overview_past *past)
{
    for (int i = 0; i < OVERVIEW_RATES; i++) past->rate[past->next][i] = part->value[i];
    past->next = (past->next + 1) % OVERVIEW_SMOOTHED;
    if (past->count < OVERVIEW_SMOOTHED) past->count++;
    for (int i = 0; i < OVERVIEW_RATES; i++) part->value[i] = mean_rate(past, i);
}

/* What was counted since the stream's beginning: it holds on when who counted is gone. */
static int is_total(int id)
{
    return id >= OVERVIEW_STREAM_ROWS;
}

void overview_add(struct overview *sum, const struct overview *part, int is_fresh)
{
    for (int i = 0; i < OVERVIEW_IDS; i++) {
        double *all = &sum->value[i], one = part->value[i];
        if (isnan(one) || (!is_fresh && !is_total(i))) continue;
        if (isnan(*all))
            *all = one;
        else if (how[i] == SUM)
            *all += one;
        else if (how[i] == GREATEST ? one > *all : one < *all)
            *all = one;
    }
    sum->lost_by_captures = sum_of(sum->lost_by_captures, part->lost_by_captures);
    sum->lost_by_trainer = fmax(sum->lost_by_trainer, part->lost_by_trainer);
}

static double full_in(double free_slabs, double slabs_per_second)
{
    if (free_slabs <= 0) return 0;
    return slabs_per_second > least_growth ? free_slabs / slabs_per_second : NAN;
}

/* How long what is under way takes; while nothing is stored, for how long nothing was. */
static double lag_seconds(const double *v)
{
    double rows = v[OVERVIEW_LAG_ROWS], rate = v[OVERVIEW_STORED_RATE];
    if (rows == 0) return 0;
    return rate > 0 ? rows / rate : isnan(rows) ? NAN : v[OVERVIEW_SINK_LAG];
}

void overview_finish(struct overview *sum, double slabs_per_second)
{
    double *v = sum->value, all = v[OVERVIEW_CAPACITY_SLABS], slabs = v[OVERVIEW_BUFFER_SLABS];
    v[OVERVIEW_FILL] = all > 0 ? slabs / all : NAN;
    v[OVERVIEW_FULL_IN] = all > 0 ? full_in(all - slabs, slabs_per_second) : NAN;
    v[OVERVIEW_LAG_SECONDS] = lag_seconds(v);
    v[OVERVIEW_LOST_ROWS] = sum_of(sum->lost_by_captures, sum->lost_by_trainer);
}

void overview_write(const struct overview *overview, FILE *out)
{
    for (int i = 0; i < OVERVIEW_IDS; i++) {
        fprintf(out, "%c\"%s\":", i ? ',' : '{', overview_names[i]);
        if (isfinite(overview->value[i]))
            fprintf(out, "%.10g", overview->value[i]);
        else
            fputs("null", out);
    }
    fputc('}', out);
}
