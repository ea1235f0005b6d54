#include "trainer/finishing.h"

#include "base/err.h"
#include "runtime/log.h"
#include "runtime/process.h"
#include "trainer/gauges.h"

#include <math.h>

static const uint64_t look_ns = UINT64_C(1000000000);
/* Captures wait half a minute for a consumer that does not answer (capture/ending.h). */
static const uint64_t settle_ns = UINT64_C(45000000000);
/* For a capture that is to end at once: one that waits for its source, or is on another host, may not
 * do so. */
static const uint64_t patience_ns = UINT64_C(10000000000);

/* How much of the decay is left, up to all of it. */
static double left_at(const struct finish_answer *decay, uint64_t rows)
{
    if (rows >= decay->end_rows) return 0;
    double whole = (double)(decay->end_rows - decay->from_rows);
    return fmin(1, decay->left * (double)(decay->end_rows - rows) / whole);
}

double finishing_factor(const struct finish_answer *decay, uint64_t rows, double share,
                        double longest)
{
    return share > 0 ? fmin(1, left_at(decay, rows) * longest / share) : 1;
}

/* The largest share of a plan over which a rate falls. */
static double longest_decay(const struct training *t)
{
    double longest = 0;
    for (uint32_t i = 0; i < t->plan.saes; i++) longest = fmax(longest, t->plan.sae[i].decay);
    return longest;
}

/* Before anything acts by it. */
static int write_down(struct training *t, const struct finish_answer *decay)
{
    int result;
    do {
        result = finish_answer_write(t->config, t->options.consumer, decay);
    } while (training_waits_for_room(t, result));
    if (result == ERR_NOSPC) return ERR_AGAIN; /* told to stop meanwhile */
    if (result != ERR_OK) return result;
    t->decay = *decay;
    t->is_finishing = 1;
    metrics_set(t->options.metrics, GAUGE_PLANNED_ROWS, (double)decay->end_rows);
    if (decay->has_enough) draw_hurry(t->draw);
    return ERR_OK;
}

static void say_decay(const struct training *t, const char *what)
{
    log_event(LOG_INFO, what, LOG_U("from_rows", t->decay.from_rows),
              LOG_U("end_rows", t->decay.end_rows));
}

/* The rows of the decay. Where hardly a step was made, a share of those is nothing: then it is all
 * that is there. */
static uint64_t decay_rows(const struct training *t)
{
    double longest = longest_decay(t);
    if (t->config->trainer.finish_rows) return t->config->trainer.finish_rows;
    uint64_t rows = (uint64_t)(longest * (double)t->rows);
    return longest > 0 && rows < t->plan.batch_rows ? draw_gauges(t->draw).draws_left : rows;
}

/* Whether what is in the buffer reaches that far. Where rows are just being replaced undrawn, a few more
 * will be before the last capture has ended. */
static int has_enough(struct training *t, uint64_t rows)
{
    struct draw_gauges g = draw_gauges(t->draw);
    int is_losing = g.rows_skipped > t->seen_skipped && !g.ended;
    t->seen_skipped = g.rows_skipped;
    return rows == 0 || g.draws_left >= rows + (is_losing ? g.capacity_rows / 8 : 0);
}

static int begin(struct training *t)
{
    int result = draw_look(t->draw);
    if (result != ERR_OK && result != ERR_NOTFOUND) return result;
    uint64_t rows = decay_rows(t);
    struct finish_answer decay = {.from_rows = t->rows, .end_rows = t->rows + rows, .left = 1};
    decay.has_enough = has_enough(t, rows);
    result = write_down(t, &decay);
    if (result == ERR_OK) say_decay(t, "finishing: the learning rate falls from here on");
    return result;
}

/* It may have begun in an earlier life. */
static int go_on(struct training *t)
{
    struct finish_answer decay;
    int result = finish_answer_read(t->config, t->options.consumer, &decay);
    if (result == ERR_FORMAT) {
        log_warn("the decay is set anew: %s", err_text());
        return begin(t);
    }
    if (result == ERR_NOTFOUND) return begin(t);
    if (result == ERR_OK) result = write_down(t, &decay);
    if (result == ERR_OK) say_decay(t, "finishing: the decay of an earlier life goes on");
    return result;
}

static int begin_if_asked(struct training *t)
{
    struct finish_wish wish;
    int result = finish_asked(t->config, &wish);
    if (result == ERR_OK) return go_on(t);
    if (result != ERR_NOTFOUND && !t->told_wish) log_warn("%s", err_text());
    t->told_wish = result != ERR_NOTFOUND;
    return ERR_OK;
}

/* Nothing more comes: the rate reaches its end where the rows do. */
static int shorten(struct training *t, uint64_t draws_left)
{
    struct finish_answer decay = {.from_rows = t->rows,
                                  .end_rows = t->rows + draws_left,
                                  .left = left_at(&t->decay, t->rows),
                                  .has_enough = 1};
    int result = write_down(t, &decay);
    if (result == ERR_OK)
        say_decay(t, "finishing: nothing more comes, the decay takes what is left");
    return result;
}

/* Draws that the decay still takes. */
static uint64_t needed(const struct training *t)
{
    return finishing_is_over(t) ? 0 : t->decay.end_rows - t->rows;
}

/* Whether it was said to have enough, and has not; or the other way round. */
static int tell_enough(struct training *t)
{
    struct finish_answer decay = t->decay;
    decay.has_enough = has_enough(t, needed(t));
    return decay.has_enough == t->decay.has_enough ? ERR_OK : write_down(t, &decay);
}

static void look_whether_at_once(struct training *t, uint64_t now_ns)
{
    struct finish_wish wish;
    if (!t->ends_ns && finish_asked(t->config, &wish) == ERR_OK && wish.at_once)
        t->ends_ns = now_ns + patience_ns;
}

static int tick(struct training *t, uint64_t now_ns)
{
    t->finish_ns = now_ns + look_ns;
    if (!t->is_finishing) return begin_if_asked(t);
    look_whether_at_once(t, now_ns);
    return tell_enough(t);
}

int finishing_look(struct training *t)
{
    uint64_t now_ns = process_now_ns();
    struct draw_gauges g = draw_gauges(t->draw);
    int result = ERR_OK, ends = g.ended || (t->ends_ns && now_ns >= t->ends_ns);
    if (t->options.replay) return ERR_OK;
    if (t->is_finishing && ends && g.draws_left < needed(t))
        result = shorten(t, g.draws_left);
    else if (now_ns >= t->finish_ns)
        result = tick(t, now_ns);
    return result == ERR_AGAIN ? ERR_OK : result;
}

uint64_t finishing_room(const struct training *t, uint64_t rows)
{
    if (!t->is_finishing || finishing_is_over(t)) return rows;
    uint64_t left = t->decay.end_rows - t->rows;
    return left < rows ? left : rows;
}

void finishing_slow(struct training *t)
{
    if (!t->is_finishing) return;
    double longest = longest_decay(t);
    for (uint32_t i = 0; i < t->plan.saes; i++)
        sae_slow(t->sae[i], finishing_factor(&t->decay, t->rows, t->plan.sae[i].decay, longest));
}

int finishing_is_over(const struct training *t)
{
    return t->is_finishing && t->rows >= t->decay.end_rows;
}

int finishing_settle(struct training *t, int *settled)
{
    uint64_t now_ns = process_now_ns();
    if (!t->settle_ns) t->settle_ns = now_ns + settle_ns;
    int result = draw_look(t->draw);
    t->batch.checkpoint_request = draw_gauges(t->draw).checkpoint_request;
    *settled = result == ERR_NOTFOUND || draw_gauges(t->draw).ended || now_ns >= t->settle_ns;
    return result == ERR_NOTFOUND || result == ERR_AGAIN ? ERR_OK : result;
}
