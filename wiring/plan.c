#include "wiring/plan.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

int plan_scales(const struct descriptor *d, float **scale)
{
    float *s = malloc(d->width * sizeof *s);
    if (!s) return err_set(ERR_NOMEM, "no memory for the input scale");
    for (uint32_t h = 0, at = 0; h < d->hooks; h++)
        for (uint32_t i = 0; i < d->hook[h].width; i++) s[at++] = (float)d->hook[h].scale;
    *scale = s;
    return ERR_OK;
}

static int scales(struct plan *p)
{
    const struct descriptor *d = &p->descriptor;
    p->width = d->width;
    int result = plan_scales(d, &p->scale);
    if (result != ERR_OK) return result;
    p->mean = malloc(d->width * sizeof *p->mean);
    if (!p->mean) return err_set(ERR_NOMEM, "no memory for the input scale");
    for (uint32_t i = 0; i < d->width; i++) p->mean[i] = d->mean[i] * p->scale[i];
    return ERR_OK;
}

static void lengths(struct plan *p, const struct config *config)
{
    const struct config_trainer *t = &config->trainer;
    const struct descriptor *d = &p->descriptor;
    p->planned_rows = t->planned_rows;
    /* What a live stream sheds or replaces is not trained on: its length is no plan. */
    if (!p->planned_rows && d->planned_rows && !d->shed) {
        uint64_t rows = d->planned_rows;
        if (d->held_out_one_in) rows -= rows / d->held_out_one_in;
        p->planned_rows = rows * t->reuse;
        if (t->stop_rows && t->stop_rows < p->planned_rows) p->planned_rows = t->stop_rows;
    } else if (!p->planned_rows) {
        p->planned_rows = t->stop_rows;
    }
    p->batch_rows = t->batch_rows;
    p->planned_steps = (p->planned_rows + p->batch_rows - 1) / p->batch_rows;
    p->dead_window_rows = PLAN_DEAD_WINDOW_ROWS;
    if (p->planned_rows && p->planned_rows / 10 < p->dead_window_rows)
        p->dead_window_rows = p->planned_rows / 10 ? p->planned_rows / 10 : 1;
}

static uint64_t dead_window_of(const struct plan *p, const struct config_sae *c)
{
    if (c->dead_window_steps) return c->dead_window_steps * p->batch_rows;
    return c->options.dead_window_rows ? c->options.dead_window_rows : p->dead_window_rows;
}

/* What the configuration cannot know. */
static struct sae_options completed(const struct plan *p, const struct config *config,
                                    const struct config_sae *c, const struct view *view)
{
    struct sae_options o = c->options;
    o.width = view->width;
    if (o.arch == SAE_TRANSCODER || o.arch == SAE_CLT) o.width_in = view_width_in(view);
    if (o.arch == SAE_CROSSCODER) o.hooks = view->hooks;
    if (o.arch == SAE_CLT) o.hooks = view->hooks / 2;
    o.planned_steps = p->planned_steps;
    o.dead_window_rows = dead_window_of(p, c);
    o.batch_rows = p->batch_rows;
    o.threads = config_threads(config->trainer.threads);
    o.pool = p->pool;
    o.mean = view->is_whole ? p->mean : NULL;
    return o;
}

/* All that a trainer asks of its stream's hooks is asked here, and nowhere else. */
static int complete(struct plan *p, const struct config *config, const struct view_hook *hooks,
                    uint32_t count)
{
    int result = ERR_OK;
    lengths(p, config);
    p->width = 0;
    for (uint32_t h = 0; h < count; h++) p->width += hooks[h].width;
    p->saes = config->trainer.saes_count;
    p->sae = calloc(p->saes ? p->saes : 1, sizeof *p->sae);
    p->view = calloc(p->saes ? p->saes : 1, sizeof *p->view);
    if (!p->sae || !p->view) return err_set(ERR_NOMEM, "no memory for %u autoencoders", p->saes);
    for (uint32_t i = 0; i < p->saes && result == ERR_OK; i++) {
        const struct config_sae *c = &config->trainer.saes[i];
        const struct view *view = &p->view[i];
        result = view_make(c, hooks, count, &p->view[i]);
        if (result == ERR_OK) p->sae[i] = completed(p, config, c, view);
        if (!view->is_whole && view->width > p->widest) p->widest = view->width;
    }
    return result;
}

static int complete_of_stream(struct plan *p, const struct config *config)
{
    struct view_hook hooks[ROW_MAX_HOOKS];
    for (uint32_t h = 0; h < p->descriptor.hooks; h++)
        hooks[h] = (struct view_hook){p->descriptor.hook[h].name, p->descriptor.hook[h].width};
    return complete(p, config, hooks, p->descriptor.hooks);
}

static int end(struct plan *p, int result, struct plan *plan)
{
    if (result == ERR_OK)
        *plan = *p;
    else
        plan_free(p);
    return result;
}

int plan_make(const struct config *config, const char *descriptor, struct pool *pool,
              struct plan *plan)
{
    struct plan p = {.pool = pool};
    int result = descriptor_decode(descriptor, strlen(descriptor), &p.descriptor);
    if (result == ERR_OK && !p.descriptor.measured)
        result = err_set(ERR_STATE, "the stream's descriptor carries no input scale and mean");
    if (result == ERR_OK) result = scales(&p);
    if (result == ERR_OK) result = complete_of_stream(&p, config);
    return end(&p, result, plan);
}

int plan_foretell(const struct config *config, const struct view_hook *hooks, uint32_t count,
                  struct plan *plan)
{
    struct plan p = {0};
    return end(&p, complete(&p, config, hooks, count), plan);
}

static int is_as_before(const struct plan *p, const struct plan_before *before)
{
    if (before->batch_rows != p->batch_rows) return 0;
    return before->is_old ? before->planned_steps == p->planned_steps
                          : before->planned_rows == p->planned_rows;
}

void plan_go_on(struct plan *p, const struct plan_before *before, uint64_t steps, uint64_t rows)
{
    if (p->planned_rows == 0 || steps == 0) return;
    uint64_t left = p->planned_rows > rows ? p->planned_rows - rows : 0;
    p->planned_steps = is_as_before(p, before) ? before->planned_steps
                                               : steps + (left + p->batch_rows - 1) / p->batch_rows;
    for (uint32_t i = 0; i < p->saes; i++) p->sae[i].planned_steps = p->planned_steps;
}

uint64_t plan_checkpoint_bytes(const struct sae_options *o)
{
    if (o->arch == SAE_COUNT) return 0;
    uint64_t in = sae_in_width(o), out = sae_out_width(o);
    uint64_t parameters = o->features * (in + out + 1) + out + (o->skip ? in * out : 0);
    return parameters * 3 * sizeof(float);
}

double plan_flops_a_row(const struct sae_options *o)
{
    return 6 * (double)sae_weights(o);
}

void plan_free(struct plan *plan)
{
    descriptor_free(&plan->descriptor);
    free(plan->scale);
    free(plan->mean);
    free(plan->sae);
    free(plan->view);
    *plan = (struct plan){0};
}
