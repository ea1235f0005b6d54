#include "capture/stage.h"

#include "capture/gauges.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Shares in steps of a tenth, so that the log has few. */
static double tenths(double done, double size)
{
    return size > 0 ? floor(10 * done / size) * 10 : 0;
}

static void take_share(struct stage *s, struct opening_share share)
{
    s->done = (double)share.done_bytes;
    s->size = (double)share.of_bytes;
}

/* Before it asks for a session. */
static void look_at_opening(struct stage *s, const struct config *config, struct opening *opening)
{
    struct opening_share share;
    if (opening_prepares(opening, &share)) {
        s->phase = PHASE_PREPARING;
        take_share(s, share);
        snprintf(s->text, sizeof s->text, "preparing the model, once: %.0f %%",
                 tenths(s->done, s->size));
    } else if (opening_checks(opening)) {
        s->phase = PHASE_CHECKING; /* the log has more than a name of it, from the engine */
    } else if (config->capture.engine == CONFIG_RING) {
        s->phase = PHASE_AWAITING;
        snprintf(
            s->text, sizeof s->text,
            "waits for a program that hands rows over to stream %s (sluice tap FILE -- PROGRAM)",
            config->stream.name);
    } else {
        s->phase = PHASE_OPENING;
        snprintf(s->text, sizeof s->text, "opening the engine");
    }
}

static void look_at_measuring(struct stage *s, const struct maker_counters *made)
{
    s->phase = made->is_counting ? PHASE_COUNTING : PHASE_MEASURING;
    s->done = (double)(made->is_counting ? made->counted_tokens : made->measured);
    s->size = made->is_counting ? 0 : (double)made->measured_of;
    if (made->is_counting)
        snprintf(s->text, sizeof s->text, "counting the corpus's tokens");
    else if (made->measures_live)
        snprintf(s->text, sizeof s->text,
                 "measuring: %.0f %% of the first %" PRIu64 " rows are there",
                 tenths(s->done, s->size), made->measured_of);
    else
        snprintf(s->text, sizeof s->text, "measuring");
}

static void look_at_session(struct stage *s, enum producer_phase phase)
{
    static const char *const words[] = {[PRODUCER_ASKING] = "asking for a session",
                                        [PRODUCER_STREAMING] = "streaming",
                                        [PRODUCER_ENDED] = "ended",
                                        [PRODUCER_GONE] = "left",
                                        [PRODUCER_FAILED] = "failed"};
    s->phase = phase == PRODUCER_ASKING      ? PHASE_ASKING
               : phase == PRODUCER_STREAMING ? PHASE_STREAMING
                                             : PHASE_ENDED;
    snprintf(s->text, sizeof s->text, "%s", words[phase]);
}

/* Whatever it is at, another model may be found meanwhile (the ring engine). */
static int look_at_reading(struct stage *s, struct opening *opening)
{
    struct opening_share share;
    char file[512];
    if (!opening_reads(opening, file, sizeof file, &share)) return 0;
    s->phase = PHASE_READING;
    take_share(s, share);
    snprintf(s->text, sizeof s->text, "reading %s, once, to know the model again", file);
    return 1;
}

void stage_look(struct stage *s, const struct config *config, const struct sender_status *status,
                const struct maker_counters *made, struct opening *opening)
{
    *s = (struct stage){0};
    snprintf(s->why, sizeof s->why, "%s", status->text);
    if (look_at_reading(s, opening)) return;
    if (status->phase == PRODUCER_WAITING)
        look_at_opening(s, config, opening);
    else if (status->phase == PRODUCER_MEASURING)
        look_at_measuring(s, made);
    else
        look_at_session(s, status->phase);
}

void stage_report(const struct stage *s, struct metrics *m)
{
    for (int i = 0; i < PHASES_OF_CAPTURE; i++)
        metrics_set_at(m, GAUGE_PHASE, (uint32_t)i, i == (int)s->phase);
    metrics_set(m, GAUGE_PHASE_DONE, s->done);
    metrics_set(m, GAUGE_PHASE_SIZE, s->size);
}

void stage_log(const struct stage *s, struct stage *told)
{
    if (!s->text[0] || (!strcmp(s->text, told->text) && !strcmp(s->why, told->why))) return;
    *told = *s;
    if (s->why[0])
        log_event(LOG_INFO, s->text, LOG_S("why", s->why));
    else
        log_info("%s", s->text);
}
