#include "broker/guard.h"

#include "base/err.h"

#include <stdlib.h>

struct guard_peer {
    struct link_route route;
    double points, reports;
    uint64_t heard_ns;         /* 0: free */
    int has_burst, has_report; /* out of the pots */
    int floods;                /* by its last message */
};

/* What new peers have in common. */
struct pot {
    double left, most, a_second;
    uint64_t told_ns;
};

struct guard {
    uint32_t max_peers;
    double most;
    struct pot bursts, reports;
    struct guard_peer peer[]; /* (max_peers) */
};

int guard_new(const struct guard_options *o, struct guard **out)
{
    struct guard *g = calloc(1, sizeof *g + o->max_peers * sizeof *g->peer);
    if (!g) return err_set(ERR_NOMEM, "no memory for %u peers", o->max_peers);
    g->max_peers = o->max_peers;
    g->most = (double)(o->burst_points > GUARD_POINTS ? o->burst_points : GUARD_POINTS);
    g->bursts = (struct pot){o->bursts, o->bursts, 1.0 / GUARD_SECONDS_A_BURST, 0};
    g->reports = (struct pot){o->max_peers, o->max_peers, GUARD_FIRST_REPORTS, 0};
    *out = g;
    return ERR_OK;
}

void guard_free(struct guard *g)
{
    free(g);
}

/* What has grown by so much in a second since then, up to a bound. */
static double grown(double value, double a_second, double most, uint64_t then_ns, uint64_t now_ns)
{
    if (now_ns > then_ns) value += (double)(now_ns - then_ns) / 1e9 * a_second;
    return value < most ? value : most;
}

static int take(struct pot *pot, uint64_t now_ns)
{
    pot->left = grown(pot->left, pot->a_second, pot->most, pot->told_ns, now_ns);
    pot->told_ns = now_ns;
    if (pot->left < 1) return 0;
    pot->left -= 1;
    return 1;
}

/* Whose place a new peer takes. */
static int goes_before(const struct guard_peer *a, const struct guard_peer *b)
{
    if (!a->heard_ns || !b->heard_ns) return !a->heard_ns && b->heard_ns;
    if (a->floods != b->floods) return a->floods;
    return a->heard_ns < b->heard_ns;
}

/* Its place, with what has grown since it was heard of. */
static struct guard_peer *heard(struct guard *g, const struct link_route *route, uint64_t now_ns)
{
    struct guard_peer *first = &g->peer[0];
    if (!now_ns) now_ns = 1;
    for (uint32_t i = 0; i < g->max_peers; i++) {
        struct guard_peer *p = &g->peer[i];
        if (p->heard_ns && link_route_equal(&p->route, route)) {
            p->points = grown(p->points, GUARD_POINTS_A_SECOND, g->most, p->heard_ns, now_ns);
            p->reports = grown(p->reports, GUARD_REPORTS, GUARD_REPORTS, p->heard_ns, now_ns);
            p->heard_ns = now_ns;
            return p;
        }
        if (goes_before(p, first)) first = p;
    }
    *first = (struct guard_peer){.route = *route, .points = GUARD_LEAST_POINTS, .heard_ns = now_ns};
    return first;
}

int guard_allows(struct guard *g, const struct link_route *route, size_t bytes, uint64_t now_ns)
{
    struct guard_peer *p = heard(g, route, now_ns);
    double cost = 1 + (double)(bytes / GUARD_POINT_BYTES);
    if (p->points < cost && !p->has_burst && take(&g->bursts, now_ns)) {
        p->has_burst = 1;
        p->points += g->most - GUARD_LEAST_POINTS;
    }
    p->floods = p->points < cost;
    if (!p->floods) p->points -= cost;
    return !p->floods;
}

void guard_charge(struct guard *g, const struct link_route *route, size_t bytes, uint64_t now_ns)
{
    heard(g, route, now_ns)->points -= (double)(bytes / GUARD_POINT_BYTES);
}

int guard_reads_report(struct guard *g, const struct link_route *route, uint64_t now_ns)
{
    struct guard_peer *p = heard(g, route, now_ns);
    if (!p->has_report && take(&g->reports, now_ns)) p->reports += GUARD_REPORTS;
    p->has_report = 1;
    if (p->reports < 1) return 0;
    p->reports -= 1;
    return 1;
}
