#include "inspect/promotes.h"

#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which part ---- */

/* The nodes of two points of the first layer; "" where the model does not tell. Its process is
 * another, so a model that it fails over does no harm. */
static void find_nodes(const char *model, const char *const names[2], char nodes[2][64])
{
    struct llama_runner_options options = {.path = model, .context_tokens = 16, .threads = 1};
    struct llama_hooks hooks;
    struct llama_facts facts;
    nodes[0][0] = nodes[1][0] = '\0';
    if (llama_hooks_parse(names, 2, &hooks) != ERR_OK) return;
    if (llama_runner_try(&options, &hooks, &facts) != ERR_OK) return;
    for (int h = 0; h < 2; h++)
        if (facts.hooks.hook[h].turn == 0) snprintf(nodes[h], 64, "%s", facts.hooks.hook[h].node);
}

/* "ffn_out" of "ffn_out-0". */
static void take_name(const char *node, char out[64])
{
    const char *dash = strrchr(node, '-');
    snprintf(out, 64, "%.*s", dash ? (int)(dash - node) : 0, node);
}

void promotes_look(const char *model, struct promotes_points *points)
{
    static const char *const added[] = {"attn_out.0", "mlp_out.0"};
    static const char *const modules[] = {"model.layers.0.self_attn", "model.layers.0.mlp"};
    char is_added[2][64], returned[2][64];
    find_nodes(model, added, is_added);
    find_nodes(model, modules, returned);
    take_name(is_added[0], points->attn);
    take_name(is_added[1], points->mlp);
    points->attn_module = is_added[0][0] && strcmp(is_added[0], returned[0]) == 0;
    points->mlp_module = is_added[1][0] && strcmp(is_added[1], returned[1]) == 0;
}

static int is_node(const char *node, const char *name)
{
    size_t n = strlen(name);
    return n > 0 && strncmp(node, name, n) == 0 && node[n] == '-';
}

/* Whether what is added at this hook is added to the residual stream as it is. */
static int is_of_stream(const char *name, const struct promotes_points *points)
{
    struct llama_hooks hooks;
    const char *node = hooks.hook[0].node;
    if (llama_hooks_parse(&name, 1, &hooks) != ERR_OK) return 0;
    switch (hooks.hook[0].point) {
    case POINT_RESID_PRE:
    case POINT_RESID_MID:
    case POINT_ATTN_OUT:
    case POINT_MLP_OUT:
        return 1;
    case POINT_NODE:
        return is_node(node, "l_out") || is_node(node, points->attn) || is_node(node, points->mlp);
    case POINT_ATTN_MODULE:
        return points->attn_module;
    case POINT_MLP_MODULE:
        return points->mlp_module;
    default:
        return 0;
    }
}

static int none(const struct subject *s, const char *hook)
{
    return err_set(ERR_USAGE,
                   "%s writes at %s, which is not known to be added to the residual stream as it "
                   "is: it promotes no token by itself; HINT: a hook resid_post, resid_pre, "
                   "resid_mid, attn_out or mlp_out does",
                   s->name, hook);
}

static int find_last(const struct subject *s, const struct promotes_points *points,
                     struct promotes_parts *parts)
{
    uint32_t first = 0;
    *parts = (struct promotes_parts){0};
    for (uint32_t h = 0; h < s->hooks; h++) {
        if (is_of_stream(s->hook[h], points))
            *parts = (struct promotes_parts){first, s->hook_width[h], 1};
        first += s->hook_width[h];
    }
    return parts->count ? ERR_OK : none(s, s->hook[s->hooks - 1]);
}

static int find_sum(const struct subject *s, const struct promotes_points *points,
                    struct promotes_parts *parts)
{
    uint32_t half = s->hooks / 2;
    for (uint32_t h = half; h < s->hooks; h++)
        if (!is_of_stream(s->hook[h], points)) return none(s, s->hook[h]);
    *parts = (struct promotes_parts){0, s->model.encoder->width / half, half};
    return ERR_OK;
}

int promotes_find(const struct subject *s, const struct promotes_points *points,
                  struct promotes_parts *parts)
{
    const struct encoder *e = s->model.encoder;
    if (e->options->arch == SAE_CROSSCODER) return find_last(s, points, parts);
    if (e->options->arch == SAE_CLT) return find_sum(s, points, parts);
    if (!is_of_stream(s->hook[s->hooks - 1], points)) return none(s, s->hook[s->hooks - 1]);
    *parts = (struct promotes_parts){0, e->width, 1};
    return ERR_OK;
}

/* ---- the tokens ---- */

/* Into a list that is sorted by `sign` times the logit; tokens come in ascending order. */
static void offer(struct promoted *list, uint32_t *count, struct promoted p, float sign)
{
    uint32_t at = *count;
    while (at > 0 && sign * p.logit > sign * list[at - 1].logit) at--;
    if (at == PROMOTES) return;
    if (*count < PROMOTES) ++*count;
    for (uint32_t i = *count - 1; i > at; i--) list[i] = list[i - 1];
    list[at] = p;
}

struct taking {
    uint32_t vocabulary;
    struct promotes *out;
};

static void take(void *arg, uint32_t index, float *logits)
{
    const struct taking *t = arg;
    struct promotes *p = &t->out[index];
    *p = (struct promotes){.ups = 0};
    for (uint32_t v = 0; v < t->vocabulary; v++) {
        struct promoted is = {(int32_t)v, logits[v]};
        if (!isfinite(is.logit)) continue;
        if (is.logit > 0) offer(p->up, &p->ups, is, 1);
        if (is.logit < 0) offer(p->down, &p->downs, is, -1);
    }
}

static void lay(const struct subject *s, const struct promotes_parts *parts, uint32_t f, float *out)
{
    const float *from = subject_direction(s, f) + parts->first;
    for (uint32_t i = 0; i < parts->width; i++) {
        double sum = 0;
        for (uint32_t k = 0; k < parts->count; k++)
            sum += (double)from[(size_t)k * parts->width + i];
        out[i] = (float)sum;
    }
}

int promotes_make(const struct promoter *promoter, const struct subject *s, uint32_t first,
                  uint32_t count, struct promotes *out)
{
    const struct promotes_parts *parts = &promoter->parts;
    struct lens *lens = promoter->lens;
    struct taking taking = {lens->vocabulary, out};
    if (parts->width != lens->width)
        return err_set(
            ERR_USAGE,
            "%s writes %u values, and the model's residual stream has %u; HINT: --model, "
            "the model that it was trained on, or --no-promotes",
            s->name, parts->width, lens->width);
    float *directions = malloc((size_t)count * parts->width * sizeof *directions);
    if (!directions) return err_set(ERR_NOMEM, "no memory for promoted tokens");
    for (uint32_t i = 0; i < count; i++)
        lay(s, parts, first + i, directions + (size_t)i * parts->width);
    int result = lens_read(lens, directions, count, take, &taking);
    free(directions);
    return result;
}
