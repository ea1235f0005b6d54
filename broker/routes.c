#include "broker/routes.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t silence_ns = UINT64_C(15000000000);
static const uint64_t again_ns = UINT64_C(1000000000); /* HELLO and DESCRIBE without an answer */

struct route_link {
    struct link_route peer;
    uint32_t number; /* 0: free */
    uint32_t sink;   /* index */
    uint64_t stream;
    uint64_t session; /* 0: none */
    uint64_t credit;
    uint64_t sent; /* highest number that went on in this session */
    uint64_t heard_ns;
    uint64_t hello_ns; /* when one was passed on that is not answered; 0: none is */
    int is_measuring;  /* DESCRIBE may come */
    uint64_t describe_ns;
};

struct route_sink {
    struct link_route peer;
    int is_attached;
    uint64_t stream;
    uint64_t heard_ns;
};

struct routes {
    uint64_t life;
    uint32_t last_number;
    uint32_t links, sinks, max_links;
    struct route_link *link; /* (max_links): the first `links` are in use */
    struct route_sink sink[ROUTES_MAX_SINKS];
    uint64_t ended[ROUTES_MAX_SINKS]; /* streams whose sink has left for good; 0: none */
    uint32_t ended_next;
};

int routes_new(uint64_t life, uint32_t max_links, struct routes **routes)
{
    struct routes *r = calloc(1, sizeof *r);
    if (r) r->link = calloc(max_links, sizeof *r->link);
    if (!r || !r->link) {
        free(r);
        return err_set(ERR_NOMEM, "no memory for the broker's routes");
    }
    r->life = life;
    r->max_links = max_links;
    *routes = r;
    return ERR_OK;
}

void routes_free(struct routes *r)
{
    if (r) free(r->link);
    free(r);
}

/* ---- tables ---- */

static struct route_link *link_of_peer(struct routes *r, const struct link_route *peer)
{
    for (uint32_t i = 0; i < r->links; i++)
        if (link_route_equal(&r->link[i].peer, peer)) return &r->link[i];
    return NULL;
}

static struct route_link *link_numbered(struct routes *r, uint32_t number)
{
    for (uint32_t i = 0; i < r->links; i++)
        if (r->link[i].number == number) return &r->link[i];
    return NULL;
}

static struct route_link *link_new(struct routes *r, const struct link_route *peer)
{
    if (r->links == r->max_links) return NULL;
    struct route_link *l = &r->link[r->links++];
    *l = (struct route_link){.peer = *peer};
    do l->number = ++r->last_number;
    while (!l->number);
    return l;
}

static void link_remove(struct routes *r, struct route_link *l)
{
    *l = r->link[--r->links];
}

static struct route_sink *sink_of_stream(struct routes *r, uint64_t stream)
{
    for (uint32_t i = 0; i < ROUTES_MAX_SINKS; i++)
        if (r->sink[i].is_attached && r->sink[i].stream == stream) return &r->sink[i];
    return NULL;
}

static struct route_sink *sink_of_peer(struct routes *r, const struct link_route *peer)
{
    for (uint32_t i = 0; i < ROUTES_MAX_SINKS; i++)
        if (r->sink[i].is_attached && link_route_equal(&r->sink[i].peer, peer)) return &r->sink[i];
    return NULL;
}

static void end_sessions(struct routes *r, uint64_t stream)
{
    for (uint32_t i = 0; i < r->links; i++) {
        struct route_link *l = &r->link[i];
        if (l->stream == stream) l->session = l->hello_ns = 0;
    }
}

static void sink_remove(struct routes *r, struct route_sink *s)
{
    end_sessions(r, s->stream);
    s->is_attached = 0;
    r->sinks--;
}

static uint64_t *ended_slot(struct routes *r, uint64_t stream)
{
    for (uint32_t i = 0; i < ROUTES_MAX_SINKS; i++)
        if (r->ended[i] == stream) return &r->ended[i];
    return NULL;
}

/* ---- answers ---- */

static void refuse(struct routes_verdict *v, enum routes_drop why, const struct message *about,
                   uint32_t flags, uint32_t code, const char *text)
{
    v->drop = why;
    v->has_answer = 1;
    v->answer = (struct message){
        .type = MESSAGE_REFUSE,
        .flags = flags,
        .stream = about->stream,
        .session = about->session,
        .producer = about->producer,
        .code = code,
        .text = text,
        .text_bytes = (uint32_t)strlen(text),
    };
}

static void refuse_no_sink(struct routes *r, struct routes_verdict *v, const struct message *about)
{
    if (ended_slot(r, about->stream))
        refuse(v, ROUTES_NO_SINK, about, MESSAGE_RETRY | MESSAGE_ENDED, ERR_STATE,
               "this stream has ended");
    else
        refuse(v, ROUTES_NO_SINK, about, MESSAGE_RETRY, ERR_NOTFOUND,
               "no sink of this stream has reached the broker yet");
}

static void to_sink(struct routes *r, const struct route_link *l, struct routes_verdict *v)
{
    v->forward = ROUTES_TO_SINK;
    v->route = r->sink[l->sink].peer;
    v->link = l->number;
}

/* ---- from producers ---- */

static void on_hello(struct routes *r, const struct link_route *from, const struct message *m,
                     uint64_t now_ns, struct routes_verdict *v)
{
    struct route_sink *s = sink_of_stream(r, m->stream);
    if (!s) {
        refuse_no_sink(r, v, m);
        return;
    }
    struct route_link *l = link_of_peer(r, from);
    if (!l) l = link_new(r, from);
    if (!l) {
        refuse(v, ROUTES_NO_LINK, m, MESSAGE_RETRY, ERR_LIMIT,
               "the broker has as many producers as it can take");
        return;
    }
    int is_known = l->hello_ns && l->stream == m->stream && &r->sink[l->sink] == s;
    if (is_known && now_ns < l->hello_ns + again_ns) {
        v->drop = ROUTES_TOO_SOON;
        return;
    }
    *l = (struct route_link){.peer = l->peer,
                             .number = l->number,
                             .sink = (uint32_t)(s - r->sink),
                             .stream = m->stream,
                             .heard_ns = now_ns,
                             .hello_ns = now_ns};
    to_sink(r, l, v);
}

/* What belongs to a session: in that one, or not at all. */
static struct route_link *in_session(struct routes *r, const struct link_route *from,
                                     const struct message *about, uint64_t now_ns,
                                     struct routes_verdict *v)
{
    struct route_link *l = link_of_peer(r, from);
    if (l) l->heard_ns = now_ns;
    if (l && l->session && l->session == about->session && l->stream == about->stream) return l;
    if (!sink_of_stream(r, about->stream))
        refuse_no_sink(r, v, about);
    else
        refuse(v, ROUTES_NO_SESSION, about, MESSAGE_RETRY, ERR_STATE, "this session is over");
    return NULL;
}

static void on_frame(struct routes *r, const struct link_route *from, const uint8_t *data,
                     size_t bytes, uint64_t now_ns, struct routes_verdict *v)
{
    struct frame_header h;
    if (frame_decode(data, bytes, &h)) {
        v->drop = ROUTES_MALFORMED;
        return;
    }
    struct message about = {.stream = h.stream, .session = h.session, .producer = h.producer};
    struct route_link *l = in_session(r, from, &about, now_ns, v);
    if (!l) return;
    if (h.number > l->credit) {
        v->drop = ROUTES_NO_CREDIT;
    } else if (h.number <= l->sent) {
        v->drop = ROUTES_REPEATED;
    } else {
        l->sent = h.number;
        to_sink(r, l, v);
    }
}

static void on_describe(struct routes *r, struct route_link *l, uint64_t now_ns,
                        struct routes_verdict *v)
{
    if (!l->is_measuring || now_ns < l->describe_ns + again_ns) {
        v->drop = ROUTES_TOO_SOON;
        return;
    }
    l->describe_ns = now_ns;
    to_sink(r, l, v);
}

/* Who may say it at the front; 0: nobody. */
static uint32_t role_of(uint8_t type)
{
    if (type == MESSAGE_REPORT) return KEYS_REPORT;
    return type == MESSAGE_ASK ? KEYS_STATUS : KEYS_PRODUCE;
}

void routes_from_producer(struct routes *r, const struct link_route *from, uint32_t roles,
                          const uint8_t *data, size_t bytes, uint64_t now_ns,
                          struct routes_verdict *v)
{
    struct message m;
    memset(v, 0, sizeof *v);
    if (message_is_frame(data, bytes)) {
        if (roles & KEYS_PRODUCE)
            on_frame(r, from, data, bytes, now_ns, v);
        else
            v->drop = ROUTES_NOT_ALLOWED;
        return;
    }
    if (message_decode(data, bytes, &m)) {
        v->drop = ROUTES_MALFORMED;
        return;
    }
    struct route_link *l;
    if (!(roles & role_of(m.type))) {
        v->drop = ROUTES_NOT_ALLOWED;
        return;
    }
    switch (m.type) {
    case MESSAGE_REPORT:
        v->is_report = 1;
        v->report = m;
        break;
    case MESSAGE_ASK:
        v->is_ask = 1;
        v->ask_number = m.session;
        break;
    case MESSAGE_HELLO:
        on_hello(r, from, &m, now_ns, v);
        break;
    case MESSAGE_DESCRIBE:
        l = in_session(r, from, &m, now_ns, v);
        if (l) on_describe(r, l, now_ns, v);
        break;
    case MESSAGE_END:
    case MESSAGE_PING:
    case MESSAGE_BYE:
        l = in_session(r, from, &m, now_ns, v);
        if (l) to_sink(r, l, v);
        break;
    default:
        v->drop = ROUTES_MALFORMED;
        break;
    }
}

/* ---- from sinks ---- */

static void attached(struct routes *r, struct routes_verdict *v, uint64_t stream)
{
    v->has_answer = 1;
    v->answer = (struct message){.type = MESSAGE_ATTACHED, .stream = stream, .session = r->life};
}

static void on_attach(struct routes *r, const struct link_route *from, const struct message *m,
                      uint64_t now_ns, struct routes_verdict *v)
{
    struct route_sink *s = sink_of_stream(r, m->stream);
    if (s && !link_route_equal(&s->peer, from)) sink_remove(r, s); /* a new life of that sink */
    s = sink_of_stream(r, m->stream);
    for (uint32_t i = 0; i < ROUTES_MAX_SINKS && !s; i++) {
        if (r->sink[i].is_attached) continue;
        s = &r->sink[i];
        r->sinks++;
    }
    if (!s) {
        refuse(v, ROUTES_NO_LINK, m, MESSAGE_RETRY, ERR_LIMIT, "the broker has all its sinks");
        return;
    }
    *s = (struct route_sink){*from, 1, m->stream, now_ns};
    uint64_t *slot = ended_slot(r, m->stream);
    if (slot) *slot = 0;
    attached(r, v, m->stream);
}

static void sink_leaves(struct routes *r, struct route_sink *s, int has_ended)
{
    if (has_ended && !ended_slot(r, s->stream))
        r->ended[r->ended_next++ % ROUTES_MAX_SINKS] = s->stream;
    sink_remove(r, s);
}

static void for_broker(struct routes *r, const struct link_route *from, const struct message *m,
                       uint64_t now_ns, struct routes_verdict *v)
{
    struct route_sink *s = sink_of_peer(r, from);
    if (m->type == MESSAGE_REPORT) {
        v->is_report = 1;
        v->report = *m;
    } else if (m->type == MESSAGE_ATTACH) {
        on_attach(r, from, m, now_ns, v);
    } else if (m->type == MESSAGE_PING && !s) {
        refuse(v, ROUTES_NO_SINK, m, MESSAGE_RETRY, ERR_STATE, "not attached to this broker");
    } else if (m->type == MESSAGE_PING) {
        s->heard_ns = now_ns;
        attached(r, v, s->stream);
    } else if (m->type == MESSAGE_BYE && s) {
        sink_leaves(r, s, m->flags & MESSAGE_ENDED);
    } else {
        v->drop = ROUTES_MALFORMED;
    }
}

static void learn(struct route_link *l, const struct message *m)
{
    if (m->type != MESSAGE_STATE) l->hello_ns = 0;
    if (m->type == MESSAGE_WELCOME) {
        l->session = m->session;
        l->credit = m->credit;
        l->sent = m->next_number ? m->next_number - 1 : 0;
        /* It may describe until its next HELLO: the WELCOME that ends the measuring may be lost. */
        if (m->flags & MESSAGE_MEASURE) l->is_measuring = 1;
    } else if (m->type == MESSAGE_STATE && m->session == l->session) {
        l->credit = m->credit;
        if ((m->flags & MESSAGE_RESYNC) && m->next_number) l->sent = m->next_number - 1;
    } else if (m->type == MESSAGE_REFUSE && (!m->session || m->session == l->session)) {
        l->session = 0;
    }
}

static void for_producer(struct routes *r, const struct route_sink *s, uint32_t link,
                         const struct message *m, struct routes_verdict *v)
{
    struct route_link *l = link_numbered(r, link);
    if (!l || &r->sink[l->sink] != s || l->stream != m->stream) {
        v->drop = ROUTES_NO_LINK;
        v->has_answer = 1;
        v->link = link;
        v->answer = (struct message){.type = MESSAGE_GONE, .stream = m->stream};
        return;
    }
    learn(l, m);
    v->forward = ROUTES_TO_PRODUCER;
    v->route = l->peer;
}

void routes_from_sink(struct routes *r, const struct link_route *from, uint32_t roles,
                      uint32_t link, const uint8_t *data, size_t bytes, uint64_t now_ns,
                      struct routes_verdict *v)
{
    struct message m;
    memset(v, 0, sizeof *v);
    if (message_decode(data, bytes, &m)) {
        v->drop = ROUTES_MALFORMED;
        return;
    }
    if (!(roles & (m.type == MESSAGE_REPORT ? KEYS_REPORT : KEYS_SINK))) {
        v->drop = ROUTES_NOT_ALLOWED;
        return;
    }
    if (!link) {
        for_broker(r, from, &m, now_ns, v);
        return;
    }
    struct route_sink *s = sink_of_peer(r, from);
    int for_it = m.type == MESSAGE_WELCOME || m.type == MESSAGE_STATE || m.type == MESSAGE_REFUSE;
    if (!for_it) {
        v->drop = ROUTES_MALFORMED;
    } else if (!s) {
        refuse(v, ROUTES_NO_SINK, &m, MESSAGE_RETRY, ERR_STATE, "not attached to this broker");
    } else {
        s->heard_ns = now_ns;
        for_producer(r, s, link, &m, v);
    }
}

/* ---- over ---- */

static void take_off(struct routes *r, struct route_link *l, struct routes_gone *gone)
{
    *gone = (struct routes_gone){r->sink[l->sink].peer, l->number, l->stream};
    link_remove(r, l);
}

int routes_expire(struct routes *r, uint64_t now_ns, struct routes_gone *gone)
{
    for (uint32_t i = 0; i < ROUTES_MAX_SINKS; i++)
        if (r->sink[i].is_attached && now_ns > r->sink[i].heard_ns + silence_ns)
            sink_remove(r, &r->sink[i]);
    for (uint32_t i = 0; i < r->links; i++) {
        if (now_ns <= r->link[i].heard_ns + silence_ns) continue;
        take_off(r, &r->link[i], gone);
        return 1;
    }
    return 0;
}

int routes_lost(struct routes *r, const struct link_route *peer, struct routes_gone *gone)
{
    struct route_link *l = link_of_peer(r, peer);
    if (!l) return 0;
    take_off(r, l, gone);
    return 1;
}

uint32_t routes_links(const struct routes *r)
{
    return r->links;
}

uint32_t routes_sinks(const struct routes *r)
{
    return r->sinks;
}

int routes_ended(struct routes *r, uint64_t stream)
{
    return ended_slot(r, stream) != NULL;
}
