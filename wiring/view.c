#include "wiring/view.h"

#include "base/err.h"

#include <string.h>

/* Ins first, then outs. */
static void order_pairs(struct config_hooks *h)
{
    struct config_hooks pairs = *h;
    for (uint32_t i = 0; i < h->count / 2; i++) {
        h->place[i] = pairs.place[2 * i];
        h->place[h->count / 2 + i] = pairs.place[2 * i + 1];
    }
}

static void lay(const struct config_hooks *chosen, const uint32_t *widths, uint32_t count,
                struct view *v)
{
    uint32_t first[ROW_MAX_HOOKS], at = 0;
    for (uint32_t h = 0; h < count; at += widths[h++]) first[h] = at;
    *v = (struct view){.is_whole = chosen->count == count, .hooks = chosen->count};
    for (uint32_t h = 0; h < v->hooks; h++) {
        v->place[h] = chosen->place[h];
        v->first[h] = first[v->place[h]];
        v->values[h] = widths[v->place[h]];
        v->width += v->values[h];
        v->is_whole = v->is_whole && v->place[h] == h;
    }
}

/* The first of hooks [from, to) of the view that has another width than `from`; `to`: none. */
static uint32_t find_other(const struct view *v, uint32_t from, uint32_t to)
{
    uint32_t h = from + 1;
    while (h < to && v->values[h] == v->values[from]) h++;
    return h < to ? h : to;
}

/* That hooks [from, to) of the view have one width. */
static int check_widths(const struct config_sae *sae, const struct view_hook *hooks,
                        const struct view *v, uint32_t from, uint32_t to)
{
    uint32_t h = find_other(v, from, to);
    if (h < to)
        return err_set(ERR_USAGE,
                       "autoencoder %s: a %s needs hooks of one width%s; %s has %u values, %s "
                       "%u",
                       sae->name, sae_arch_name(sae->options.arch),
                       sae->options.arch == SAE_CLT ? " on either side" : "",
                       hooks[v->place[from]].name, v->values[from], hooks[v->place[h]].name,
                       v->values[h]);
    return ERR_OK;
}

static int check_shape(const struct config_sae *sae, const struct view_hook *hooks,
                       const struct view *v)
{
    enum sae_arch arch = sae->options.arch;
    if (arch == SAE_TRANSCODER && v->hooks != 2)
        return err_set(ERR_USAGE, "autoencoder %s: a transcoder needs two hooks, not %u", sae->name,
                       v->hooks);
    if (arch == SAE_CROSSCODER) return check_widths(sae, hooks, v, 0, v->hooks);
    if (arch != SAE_CLT) return ERR_OK;
    if (v->hooks % 2 != 0)
        return err_set(ERR_USAGE, "autoencoder %s: a clt needs pairs of hooks, not %u hooks",
                       sae->name, v->hooks);
    int result = check_widths(sae, hooks, v, 0, v->hooks / 2);
    return result == ERR_OK ? check_widths(sae, hooks, v, v->hooks / 2, v->hooks) : result;
}

int view_make(const struct config_sae *sae, const struct view_hook *hooks, uint32_t count,
              struct view *view)
{
    const char *names[ROW_MAX_HOOKS];
    uint32_t widths[ROW_MAX_HOOKS];
    struct config_hooks chosen;
    for (uint32_t h = 0; h < count && h < ROW_MAX_HOOKS; h++) {
        names[h] = hooks[h].name;
        widths[h] = hooks[h].width;
    }
    int result = config_sae_hooks(sae, names, count, &chosen);
    if (result != ERR_OK)
        return err_set(ERR_USAGE, "autoencoder %s: hooks: %s", sae->name, err_text());
    if (sae->options.arch == SAE_CLT) order_pairs(&chosen);
    lay(&chosen, widths, count, view);
    return check_shape(sae, hooks, view);
}

json_t *view_names(const struct view *v, const struct descriptor *d)
{
    json_t *list = json_array();
    for (uint32_t h = 0; list && h < v->hooks; h++)
        json_array_append_new(list, json_string(d->hook[v->place[h]].name));
    return list;
}

int view_of_names(const json_t *names, const struct descriptor *d, struct view *view)
{
    struct config_hooks chosen = {.count = names ? (uint32_t)json_array_size(names) : d->hooks};
    uint32_t widths[ROW_MAX_HOOKS];
    if (chosen.count == 0 || chosen.count > d->hooks)
        return err_set(ERR_FORMAT, "the hooks of an autoencoder are no list of the stream's");
    for (uint32_t h = 0; h < d->hooks; h++) widths[h] = d->hook[h].width;
    for (uint32_t h = 0; h < chosen.count; h++) {
        const char *name = json_string_value(json_array_get(names, h));
        uint32_t at = names ? 0 : h;
        while (names && at < d->hooks && (!name || strcmp(d->hook[at].name, name) != 0)) at++;
        if (at == d->hooks)
            return err_set(ERR_FORMAT, "the stream has no hook '%.80s', which an autoencoder sees",
                           name ? name : "");
        chosen.place[h] = at;
    }
    lay(&chosen, widths, d->hooks, view);
    return ERR_OK;
}

int view_fits(const struct view *v, const struct sae_options *o)
{
    uint32_t hooks = v->hooks; /* any number, side by side */
    if (o->arch == SAE_TRANSCODER) hooks = 2;
    if (o->arch == SAE_CROSSCODER) hooks = o->hooks;
    if (o->arch == SAE_CLT) hooks = 2 * o->hooks;
    int has_sides = o->arch == SAE_TRANSCODER || o->arch == SAE_CLT;
    if (v->width != o->width || v->hooks != hooks) return 0;
    if (has_sides && view_width_in(v) != o->width_in) return 0;
    if (o->arch == SAE_CROSSCODER) return find_other(v, 0, hooks) == hooks;
    return o->arch != SAE_CLT ||
           (find_other(v, 0, hooks / 2) == hooks / 2 && find_other(v, hooks / 2, hooks) == hooks);
}

void view_gather(const struct view *v, const float *rows, uint32_t stride, uint64_t n, float *out)
{
    for (uint64_t r = 0; r < n; r++)
        for (uint32_t h = 0; h < v->hooks; h++) {
            memcpy(out, rows + r * stride + v->first[h], v->values[h] * sizeof *out);
            out += v->values[h];
        }
}

uint32_t view_width_in(const struct view *v)
{
    uint32_t width = 0;
    for (uint32_t h = 0; h < v->hooks / 2; h++) width += v->values[h];
    return width;
}
