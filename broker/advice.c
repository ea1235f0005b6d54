#include "broker/advice.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double waits = 0.1; /* share of the time from which on somebody waits */
static const double waits_always = 0.9;

struct advice_setup advice_setup_of(const struct config *c)
{
    return (struct advice_setup){
        .engine = (enum config_engine)c->capture.engine,
        .policy = (enum config_policy)c->stream.policy,
        .processors = config_threads(0),
        .capture_threads = config_threads(c->capture.threads),
        .trainer_threads = config_threads(c->trainer.threads),
        .reuse = c->trainer.reuse,
        .min_rows = c->trainer.min_rows,
        .saes = c->trainer.saes_count,
        .is_fast_disk_asked = c->sink.durability == CONFIG_POWER,
    };
}

static double percent(double share)
{
    return isnan(share) ? 0 : 100 * share;
}

/* "raise trainer.threads (2 of 8 processors), "; "" where it has them all. */
static void threads_text(const char *key, uint32_t threads, uint32_t processors, char *out,
                         size_t bytes)
{
    out[0] = '\0';
    if (threads < processors)
        snprintf(out, bytes, "raise %s (now %u, of %u processors), ", key, threads, processors);
}

static void trainer_is_slow(const struct advice_setup *s, const struct overview *o, char *out,
                            size_t bytes)
{
    char threads[128], less[160];
    double blocked = o->value[OVERVIEW_CREDIT_WAIT];
    threads_text("trainer.threads", s->trainer_threads, s->processors, threads, sizeof threads);
    snprintf(less, sizeof less, "%s%strain narrower ones (features, k)",
             s->reuse > 1 ? "lower trainer.reuse, " : "",
             s->saes > 1 ? "train fewer autoencoders at once (trainer.saes), " : "");
    if (s->policy == CONFIG_SHED && o->value[OVERVIEW_SHED_RATE] > 0)
        snprintf(out, bytes,
                 "The trainer is slower than the rows come, and %.3g rows per second are shed: "
                 "%s%s, or capture a smaller share (capture.share).",
                 o->value[OVERVIEW_SHED_RATE], threads, less);
    else if (!isnan(blocked))
        snprintf(out, bytes,
                 "The trainer is slower than the model, which stands still %.0f %% of the time: "
                 "%s%s, or give the trainer a faster machine.",
                 percent(blocked), threads, less);
    else
        snprintf(out, bytes,
                 "All rows are captured, and the trainer works through what is left%s%s.",
                 threads[0] ? "; to be done sooner raise trainer.threads" : "",
                 s->reuse > 1 ? ", or lower trainer.reuse in the next run" : "");
}

/* The first batch waits for trainer.min_rows, by default half of the buffer. */
static int is_filling(const struct advice_setup *s, const double *v)
{
    int lacks =
        s->min_rows ? v[OVERVIEW_BUFFER_ROWS] < (double)s->min_rows : v[OVERVIEW_FILL] < 0.5;
    return lacks && v[OVERVIEW_DRAW_WAIT] >= waits_always && v[OVERVIEW_CAPTURED_RATE] > 0;
}

static void buffer_fills(const struct overview *o, char *out, size_t bytes)
{
    snprintf(out, bytes,
             "The trainer waits until the buffer holds enough rows for a well-mixed batch (%.0f %% "
             "full now): this passes by itself; a smaller trainer.min_rows begins sooner.",
             percent(o->value[OVERVIEW_FILL]));
}

static void model_is_slow(const struct advice_setup *s, const struct overview *o, char *out,
                          size_t bytes)
{
    char threads[128];
    double waiting = o->value[OVERVIEW_DRAW_WAIT];
    threads_text("capture.threads", s->capture_threads, s->processors, threads, sizeof threads);
    if (s->engine == CONFIG_RING)
        snprintf(out, bytes,
                 "Rows come as fast as the tapped programs make them%s: nothing here holds them "
                 "up.",
                 waiting >= waits ? ", and the trainer waits for more" : "");
    else if (isnan(waiting) || waiting < waits)
        snprintf(out, bytes,
                 "The model and the trainer keep pace. For more rows per second, %srun more "
                 "producers (capture.producers) on further machines.",
                 threads);
    else
        snprintf(out, bytes,
                 "The model is slower than the trainer, which waits %.0f %% of the time: %srun "
                 "more producers (capture.producers) on further machines, or raise trainer.reuse "
                 "to train on each row more often.",
                 percent(waiting), threads);
}

static void sink_is_slow(const struct advice_setup *s, const struct overview *o, char *out,
                         size_t bytes)
{
    snprintf(out, bytes,
             "The way into the buffer is the slowest part, and the model stands still %.0f %% of "
             "the time: put stream.run_dir on a faster disk%s, or raise sink.window so that more "
             "is under way.",
             percent(o->value[OVERVIEW_CREDIT_WAIT]),
             s->is_fast_disk_asked ? ", set sink.durability to process" : "");
}

void advice_write(const struct advice_setup *s, const struct overview *o, const char *bottleneck,
                  char *out, size_t bytes)
{
    const double *v = o->value;
    out[0] = '\0';
    if (v[OVERVIEW_DISK_WAIT] > 0)
        snprintf(out, bytes,
                 "The disk is full, and %.0f seconds have gone by waiting for room: free some, and "
                 "all goes on by itself.",
                 v[OVERVIEW_DISK_WAIT]);
    else if (!bottleneck)
        return;
    else if (is_filling(s, v))
        buffer_fills(o, out, bytes);
    else if (strcmp(bottleneck, "trainer-bound") == 0)
        trainer_is_slow(s, o, out, bytes);
    else if (strcmp(bottleneck, "producer-bound") != 0)
        sink_is_slow(s, o, out, bytes);
    else if (v[OVERVIEW_CAPTURED_RATE] > 0)
        model_is_slow(s, o, out, bytes);
}
