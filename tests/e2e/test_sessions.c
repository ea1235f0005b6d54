/*
 * The session protocol under a storm, in one process and without sockets: real producers, real
 * routes of a broker, a real sink with its store; messages between them wait in queues, are lost or
 * damaged, and each of the three is killed at random, all in a time of the test's own. At the end
 * every frame of every producer must be stored once, and every producer must know that it has
 * ended. A run is a function of its seed: the failing one is printed.
 */
#include "base/err.h"
#include "base/fileio.h"
#include "base/rng.h"
#include "broker/routes.h"
#include "buffer/store.h"
#include "capture/producer.h"
#include "proto/rows.h"
#include "sink/desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PRODUCERS = 2, LAST = 12, WIDTH = 64, QUEUE = 4096, SEEDS = 60 };
static const uint64_t step_ns = 20000000;

struct packet {
    uint32_t peer; /* front: whose connection; back: the link's number */
    size_t bytes;
    uint8_t *data;
};

struct queue {
    struct packet packet[QUEUE];
    size_t first, count;
};

struct maker { /* stands for an engine: frame n is a function of n */
    struct producer *p;
    uint32_t connection; /* grows with every reconnection */
    uint64_t generation, next;
    int life;
};

struct world {
    struct rng rng;
    uint64_t now;
    char dir[64];
    struct config *config;
    struct maker maker[PRODUCERS];
    struct routes *routes;
    uint64_t lives;
    struct desk *desk;
    uint32_t sink_connection, connections;
    struct queue to_broker, to_producers, from_sink, to_sink;
    double loss; /* share of messages that are lost, and of those that are damaged */
    uint64_t kills;
};

static struct world w;

/* ---- queues ---- */

static void put(struct queue *q, uint32_t peer, const void *data, size_t bytes)
{
    uint64_t dice = rng_below(&w.rng, 1000000);
    if ((double)dice < w.loss * 1e6 || q->count == QUEUE) return;
    struct packet *k = &q->packet[(q->first + q->count++) % QUEUE];
    *k = (struct packet){peer, bytes, malloc(bytes + 1)};
    memcpy(k->data, data, bytes);
    if ((double)dice < 2 * w.loss * 1e6 && bytes)
        k->data[rng_below(&w.rng, bytes)] ^= (uint8_t)(1u << rng_below(&w.rng, 8));
}

static int take(struct queue *q, struct packet *packet)
{
    if (!q->count) return 0;
    *packet = q->packet[q->first];
    q->first = (q->first + 1) % QUEUE;
    q->count--;
    return 1;
}

static void empty(struct queue *q)
{
    struct packet k;
    while (take(q, &k)) free(k.data);
}

static struct link_route route_of(uint32_t connection)
{
    struct link_route r = {.bytes = 4};
    memcpy(r.id, &connection, 4);
    return r;
}

static uint32_t connection_of(const struct link_route *r)
{
    uint32_t connection;
    memcpy(&connection, r->id, 4);
    return connection;
}

static void put_message(struct queue *q, uint32_t peer, const struct message *m)
{
    uint8_t *data = malloc(message_bytes(m));
    assert_int_equal(message_encode(m, data), 0);
    put(q, peer, data, message_bytes(m));
    free(data);
}

/* ---- producers ---- */

static void describe(struct descriptor *d, float *mean)
{
    *d = (struct descriptor){
        .stream = "s", .dtype = DTYPE_F32, .width = WIDTH, .hooks = 1, .share_count = PRODUCERS};
    strcpy(d->hook[0].name, "h");
    d->hook[0].width = WIDTH;
    d->hook[0].scale = 1;
    d->mean = mean;
    d->measured = mean != NULL;
}

static void tell_descriptor(struct producer *p, int is_measured)
{
    float mean[WIDTH] = {0};
    struct descriptor d;
    char *text;
    size_t bytes;
    describe(&d, is_measured ? mean : NULL);
    assert_int_equal(descriptor_encode(&d, &text, &bytes), 0);
    if (is_measured)
        assert_int_equal(producer_described(p, text, bytes), 0);
    else
        assert_int_equal(producer_introduce(p, text, bytes), 0);
    free(text);
}

static void start_producer(uint32_t i)
{
    struct maker *k = &w.maker[i];
    struct producer_options o = {.stream = "s",
                                 .name = "capture",
                                 .producer = i,
                                 .share_count = PRODUCERS,
                                 .retained_bytes = 1 << 20};
    producer_free(k->p);
    *k = (struct maker){.connection = ++w.connections};
    assert_int_equal(producer_new(&o, &k->p), 0);
    tell_descriptor(k->p, 0);
}

static void make_frame(uint32_t i, struct maker *k)
{
    struct window_frame *f = producer_take(k->p);
    if (!f) return;
    uint32_t rows = producer_descriptor(k->p)->rows_per_slab;
    struct row_id *ids = calloc(rows, sizeof *ids);
    float *x = calloc((size_t)rows * WIDTH, sizeof *x);
    for (uint32_t r = 0; r < rows; r++) ids[r] = (struct row_id){k->next * PRODUCERS + i, r, i};
    rows_to_raw(DTYPE_F32, rows, WIDTH, ids, x, f->bytes + FRAME_HEADER_BYTES);
    free(ids);
    free(x);
    f->header = (struct frame_header){.stream = stream_key("s"),
                                      .producer = i,
                                      .begin = {.document = k->next},
                                      .end = {.document = k->next + 1},
                                      .totals = {.captured_rows = k->next * rows},
                                      .rows = rows,
                                      .width = WIDTH,
                                      .dtype = DTYPE_F32};
    uint8_t *payload = f->bytes + FRAME_HEADER_BYTES;
    assert_int_equal(frame_seal(&f->header, payload, payload, NULL), 0);
    if (producer_push(k->p, k->generation, f) == ERR_OK) k->next++;
}

static void run_maker(uint32_t i)
{
    struct maker *k = &w.maker[i];
    struct producer_order order = producer_order(k->p);
    if (order.generation != k->generation) {
        k->generation = order.generation;
        k->next = order.number;
        if (order.task == PRODUCER_MEASURE) tell_descriptor(k->p, 1);
        if (order.task == PRODUCER_MAKE && order.number > 1)
            assert_int_equal(order.cursor.document, order.number); /* where that frame begins */
    }
    if (order.task != PRODUCER_MAKE) return;
    if (k->next <= LAST && rng_below(&w.rng, 2)) make_frame(i, k);
    if (k->next > LAST) producer_end(k->p, k->generation);
}

static void run_producer(uint32_t i)
{
    struct maker *k = &w.maker[i];
    struct producer_send send;
    run_maker(i);
    producer_tick(k->p, w.now);
    for (int n = 0; n < 8 && producer_next(k->p, w.now, &send); n++) {
        if (send.frame) {
            frame_encode(&send.frame->header, send.frame->bytes);
            put(&w.to_broker, k->connection, send.frame->bytes,
                FRAME_HEADER_BYTES + send.frame->header.packed_bytes);
        } else {
            put_message(&w.to_broker, k->connection, &send.message);
        }
        producer_sent(k->p, w.now, &send);
    }
    const char *text;
    if (producer_phase(k->p) == PRODUCER_FAILED) {
        producer_error(k->p, &text);
        fail_msg("producer %u failed: %s", i, text);
    }
}

static void deliver_to_producers(void)
{
    struct packet k;
    struct message m;
    while (take(&w.to_producers, &k)) {
        for (int i = 0; i < PRODUCERS; i++)
            if (w.maker[i].connection == k.peer && !message_decode(k.data, k.bytes, &m))
                producer_message(w.maker[i].p, &m, w.now);
        free(k.data);
    }
}

/* ---- broker ---- */

static void start_broker(void)
{
    routes_free(w.routes);
    assert_int_equal(routes_new(++w.lives, 64, &w.routes), 0);
    empty(&w.to_broker);
    empty(&w.to_producers);
    empty(&w.from_sink);
    empty(&w.to_sink);
    for (int i = 0; i < PRODUCERS; i++) w.maker[i].connection = ++w.connections;
    w.sink_connection = ++w.connections;
}

static void run_broker(void)
{
    struct packet k;
    struct routes_verdict v;
    struct routes_gone gone;
    for (int n = 0; n < 16 && take(&w.to_broker, &k); n++) {
        struct link_route from = route_of(k.peer);
        routes_from_producer(w.routes, &from, KEYS_ALL, k.data, k.bytes, w.now, &v);
        if (v.has_answer) put_message(&w.to_producers, k.peer, &v.answer);
        if (v.forward == ROUTES_TO_SINK && connection_of(&v.route) == w.sink_connection)
            put(&w.to_sink, v.link, k.data, k.bytes);
        free(k.data);
    }
    for (int n = 0; n < 16 && take(&w.from_sink, &k); n++) {
        struct link_route from = route_of(w.sink_connection);
        routes_from_sink(w.routes, &from, KEYS_ALL, k.peer, k.data, k.bytes, w.now, &v);
        if (v.has_answer) put_message(&w.to_sink, v.link, &v.answer);
        if (v.forward == ROUTES_TO_PRODUCER)
            put(&w.to_producers, connection_of(&v.route), k.data, k.bytes);
        free(k.data);
    }
    while (routes_expire(w.routes, w.now, &gone)) {
        struct message m = {.type = MESSAGE_GONE, .stream = gone.stream};
        if (connection_of(&gone.sink) == w.sink_connection) put_message(&w.to_sink, gone.link, &m);
    }
}

/* ---- sink ---- */

static void say(void *arg, uint32_t link, const struct message *m)
{
    (void)arg;
    put_message(&w.from_sink, link, m);
}

static void start_sink(void)
{
    struct desk_options o = {.config = w.config, .name = "sink", .life = ++w.lives, .say = say};
    desk_free(w.desk);
    w.sink_connection = ++w.connections;
    empty(&w.to_sink);
    empty(&w.from_sink);
    if (desk_new(&o, w.now, &w.desk)) fail_msg("%s", err_text());
}

static void run_sink(void)
{
    struct packet k;
    for (int n = 0; n < 16 && take(&w.to_sink, &k); n++) {
        if (k.peer && message_is_frame(k.data, k.bytes)) {
            struct parcel parcel = {k.data, k.bytes, k.data, free};
            if (!desk_frame(w.desk, k.peer, &parcel, w.now)) free(k.data);
        } else {
            desk_message(w.desk, k.peer, k.data, k.bytes, w.now);
            free(k.data);
        }
    }
    if (rng_below(&w.rng, 2)) desk_flush(w.desk, w.now);
    desk_tick(w.desk, w.now);
}

/* ---- a run ---- */

static void start_world(uint64_t seed, double loss)
{
    char text[512];
    memset(&w, 0, sizeof w);
    rng_seed(&w.rng, seed);
    w.now = 1000000000000;
    strcpy(w.dir, "/tmp/sluice-sessions-XXXXXX");
    char run[64];
    assert_non_null(mkdtemp(w.dir));
    snprintf(run, sizeof run, "%s/run", w.dir); /* as whoever claims it makes it */
    assert_int_equal(dir_make(run, 0700), ERR_OK);
    int n = snprintf(text, sizeof text,
                     "stream: { name: s, dtype: f32, run_dir: %s/run }\n"
                     "capture: { engine: synthetic, producers: %d, synthetic: { width: %d } }\n"
                     "sink: { size: 4MiB, window: 5 }\n"
                     "trainer: { consumers: [], batch_rows: 16 }\n",
                     w.dir, PRODUCERS, WIDTH);
    if (config_parse(text, (size_t)n, "test", NULL, 0, &w.config)) fail_msg("%s", err_text());
    start_broker();
    start_sink();
    for (uint32_t i = 0; i < PRODUCERS; i++) start_producer(i);
    w.loss = loss;
}

static void strike(void)
{
    uint64_t victim = rng_below(&w.rng, 3);
    w.kills++;
    if (victim == 0)
        start_broker();
    else if (victim == 1)
        start_sink();
    else
        start_producer((uint32_t)rng_below(&w.rng, PRODUCERS));
}

static int is_done(void)
{
    for (int i = 0; i < PRODUCERS; i++)
        if (producer_phase(w.maker[i].p) != PRODUCER_ENDED) return 0;
    return 1;
}

static void check_store(void)
{
    struct store *store;
    struct slab_ref ref;
    char dir[128];
    snprintf(dir, sizeof dir, "%s/run/buffer", w.dir);
    struct store_options o = {
        .dir = dir, .stream = "s", .size_bytes = 4 << 20, .width = WIDTH, .dtype = DTYPE_F32};
    if (store_open(&o, &store)) fail_msg("%s", err_text());
    assert_int_equal(store_count(store), PRODUCERS * LAST);
    assert_int_equal(store_state(store)->ended, 1);
    for (uint32_t p = 0; p < PRODUCERS; p++)
        for (uint64_t n = 1; n <= LAST; n++) assert_int_equal(store_find(store, p, n, &ref), 0);
    store_close(store);
}

static void end_world(void)
{
    desk_free(w.desk);
    check_store();
    for (int i = 0; i < PRODUCERS; i++) producer_free(w.maker[i].p);
    routes_free(w.routes);
    empty(&w.to_broker);
    empty(&w.to_producers);
    empty(&w.from_sink);
    empty(&w.to_sink);
    config_free(w.config);
    dir_remove(w.dir);
}

static void give_up(uint64_t seed)
{
    for (int i = 0; i < PRODUCERS; i++) {
        const struct session *s = &desk_sessions(w.desk)->session[i];
        print_message("producer %d: phase %d, waiting for \"%s\", frame %llu; the sink: session "
                      "%llu, number %llu of %llu, ended %u\n",
                      i, producer_phase(w.maker[i].p), producer_waiting_for(w.maker[i].p),
                      (unsigned long long)w.maker[i].next, (unsigned long long)s->session,
                      (unsigned long long)s->expected, (unsigned long long)s->record.next_number,
                      s->record.ended);
    }
    fail_msg("seed %llu does not come to its end", (unsigned long long)seed);
}

static void storm(uint64_t seed, double loss, unsigned kills)
{
    start_world(seed, loss);
    for (int step = 0; !is_done(); step++) {
        if (step > 50000) give_up(seed);
        w.now += step_ns;
        for (uint32_t i = 0; i < PRODUCERS; i++) run_producer(i);
        run_broker();
        run_sink();
        run_broker();
        deliver_to_producers();
        if (w.kills < kills && rng_below(&w.rng, 40) == 0) strike();
    }
    end_world();
}

static void calm(void **state)
{
    (void)state;
    storm(1, 0, 0);
}

static void kills(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) storm(seed, 0, 12);
}

static void losses(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) storm(seed + 1000, 0.02, 0);
}

static void kills_and_losses(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) storm(seed + 2000, 0.02, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calm),
        cmocka_unit_test(kills),
        cmocka_unit_test(losses),
        cmocka_unit_test(kills_and_losses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
