#include "broker/guard.h"

#include "base/err.h"

#include <stdlib.h>

struct guard_peer {
    struct link_route route;
    double points;
    uint64_t heard_ns; /* 0: free */
};

struct guard {
    uint32_t max_peers;
    double most;
    struct guard_peer peer[]; /* (max_peers) */
};

int guard_new(uint32_t max_peers, uint64_t burst_points, struct guard **out)
{
    struct guard *g = calloc(1, sizeof *g + max_peers * sizeof *g->peer);
    if (!g) return err_set(ERR_NOMEM, "no memory for %u peers", max_peers);
    g->max_peers = max_peers;
    g->most = (double)(burst_points > GUARD_POINTS ? burst_points : GUARD_POINTS);
    *out = g;
    return ERR_OK;
}

void guard_free(struct guard *g)
{
    free(g);
}

/* Its place; a new one's is that of who was heard of longest ago. */
static struct guard_peer *place_of(struct guard *g, const struct link_route *route)
{
    struct guard_peer *oldest = &g->peer[0];
    for (uint32_t i = 0; i < g->max_peers; i++) {
        struct guard_peer *p = &g->peer[i];
        if (p->heard_ns && link_route_equal(&p->route, route)) return p;
        if (p->heard_ns < oldest->heard_ns) oldest = p;
    }
    *oldest = (struct guard_peer){.route = *route, .points = g->most};
    return oldest;
}

int guard_allows(struct guard *g, const struct link_route *route, size_t bytes, uint64_t now_ns)
{
    struct guard_peer *p = place_of(g, route);
    if (p->heard_ns && now_ns > p->heard_ns)
        p->points += (double)(now_ns - p->heard_ns) / 1e9 * GUARD_POINTS_A_SECOND;
    if (p->points > g->most) p->points = g->most;
    p->heard_ns = now_ns ? now_ns : 1;
    double cost = 1 + (double)(bytes / GUARD_POINT_BYTES);
    if (p->points < cost) return 0;
    p->points -= cost;
    return 1;
}
