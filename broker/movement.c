#include "broker/movement.h"

#include "proto/phase.h"
#include "proto/report.h"

static const double busy_ratio = 0.5; /* of a core: a trainer that computes */

static int is_positive(const json_t *numbers, enum report_id id)
{
    return report_number(numbers, id) > 0;
}

static int has_moved(int kind, const json_t *rates)
{
    static const enum report_id rows[] = {REPORT_CAPTURE_TOKENS, REPORT_CAPTURE_ROWS,
                                          REPORT_CAPTURE_ACKED_ROWS, REPORT_SINK_ROWS,
                                          REPORT_TRAINER_ROWS};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is_positive(rates, rows[i])) return 1;
    return kind == PROCESS_TRAINER && report_number(rates, REPORT_PROCESS_CPU_SECONDS) > busy_ratio;
}

/* A resumed trainer tells what it had counted before it has read its autoencoders. */
static int has_begun(const json_t *report)
{
    int phase = phase_of_trainer(report);
    return phase < 0 || phase >= PHASE_TRAINING;
}

static enum movement_due due_of(int kind, const json_t *report)
{
    if (kind == PROCESS_CAPTURE) {
        if (is_positive(report, REPORT_CAPTURE_IN_FLIGHT_ROWS) ||
            is_positive(report, REPORT_RING_WAITING_ROWS))
            return MOVEMENT_DUE;
        return is_positive(report, REPORT_CAPTURE_TOKENS) ? MOVEMENT_DUE_IF_FED : MOVEMENT_NOT_DUE;
    }
    int has_rows = kind == PROCESS_TRAINER && is_positive(report, REPORT_TRAINER_ROWS) &&
                   has_begun(report) && report_number(report, REPORT_TRAINER_WAITING) == 0 &&
                   report_number(report, REPORT_TRAINER_FINISHED) == 0;
    return has_rows ? MOVEMENT_DUE : MOVEMENT_NOT_DUE;
}

void movement_report(struct movement *m, int kind, const json_t *report, const json_t *rates,
                     uint64_t now_ns)
{
    enum movement_due due = due_of(kind, report);
    if (due != m->due) m->changed_ns = now_ns;
    m->due = due;
    if (has_moved(kind, rates)) m->moved_ns = now_ns;
}

double movement_still_seconds(const struct movement *m, int is_fed, uint64_t moved_ns,
                              uint64_t now_ns)
{
    if (m->due == MOVEMENT_NOT_DUE || (m->due == MOVEMENT_DUE_IF_FED && !is_fed)) return 0;
    uint64_t since_ns = moved_ns > m->changed_ns ? moved_ns : m->changed_ns;
    return now_ns > since_ns ? (double)(now_ns - since_ns) / 1e9 : 0;
}
