/*
 * The sink's side of the session protocol against a real store, driven by a script: the test plays
 * the producers, the broker, the consumers and the clock.
 */
#include "base/err.h"
#include "base/fileio.h"
#include "base/rng.h"
#include "buffer/aged.h"
#include "buffer/damage.h"
#include "buffer/environment.h"
#include "buffer/retention.h"
#include "proto/descriptor.h"
#include "proto/rows.h"
#include "runtime/process.h"
#include "sink/desk.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WIDTH = 64, SAID = 64 };
static const uint64_t second = 1000000000;

struct said {
    uint32_t link;
    struct message m;
    char text[256];
};

struct script {
    char dir[64];
    struct config *config;
    struct desk *desk;
    uint64_t now, life;
    struct said said[SAID]; /* a ring: the last ones */
    uint64_t count;
    uint32_t rows_per_slab;
    uint64_t session[2], credit[2], next[2];
    uint32_t epoch[2];
    uint64_t uncounted; /* frames that are not in the totals of the producers' present life */
    uint64_t parcels;   /* handed over and not given back */
    struct {
        uint32_t stream, producer, epoch, width, back;
        uint64_t captured_ns;
    } lie; /* added to what frames say */
};

/* ---- the world ---- */

static void hear(void *arg, uint32_t link, const struct message *m)
{
    struct script *s = arg;
    struct said *said = &s->said[s->count++ % SAID];
    said->link = link;
    said->m = *m;
    snprintf(said->text, sizeof said->text, "%.*s", (int)m->text_bytes, m->text ? m->text : "");
    if (link < 1 || link > 2) return;
    if (m->type == MESSAGE_WELCOME || m->type == MESSAGE_STATE) {
        s->session[link - 1] = m->session;
        s->credit[link - 1] = m->credit;
        s->next[link - 1] = m->next_number;
        s->epoch[link - 1] = m->epoch;
    }
    if (m->type == MESSAGE_WELCOME) {
        struct descriptor d;
        assert_int_equal(descriptor_decode(m->text, m->text_bytes, &d), 0);
        s->rows_per_slab = d.rows_per_slab;
        descriptor_free(&d);
    }
}

static const struct said *last(const struct script *s)
{
    assert_true(s->count > 0);
    return &s->said[(s->count - 1) % SAID];
}

/* The last thing said to a link. */
static const struct message *last_to(const struct script *s, uint32_t link)
{
    for (uint64_t i = s->count; i > 0 && i + SAID > s->count; i--)
        if (s->said[(i - 1) % SAID].link == link) return &s->said[(i - 1) % SAID].m;
    fail_msg("nothing was said to link %u", link);
    return NULL;
}

static void open_desk(struct script *s)
{
    struct desk_options o = {
        .config = s->config, .name = "sink", .life = ++s->life, .say = hear, .arg = s};
    assert_int_equal(desk_new(&o, s->now, &s->desk), 0);
}

static void start_with(struct script *s, const char *more, const char *const *sets, size_t count)
{
    char text[1024];
    memset(s, 0, sizeof *s);
    s->now = 1000 * second;
    strcpy(s->dir, "/tmp/sluice-desk-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(text, sizeof text, "%s/run", s->dir); /* as whoever claims it makes it */
    assert_int_equal(dir_make(text, 0700), ERR_OK);
    int n = snprintf(text, sizeof text,
                     "stream: { name: s, dtype: f32, run_dir: %s/run%s }\n"
                     "capture: { engine: synthetic, producers: 2, synthetic: { width: 64 } }\n"
                     "sink: { size: 4MiB }\n"
                     "trainer: { consumers: [], batch_rows: 16 }\n",
                     s->dir, more);
    if (config_parse(text, (size_t)n, "test", sets, count, &s->config)) fail_msg("%s", err_text());
    open_desk(s);
}

static void start(struct script *s, const char *more)
{
    start_with(s, more, NULL, 0);
}

static void finish(struct script *s)
{
    desk_free(s->desk);
    assert_int_equal(s->parcels, 0);
    config_free(s->config);
    assert_int_equal(dir_remove(s->dir), 0);
}

/* As a kill does it: nothing is said, what was not committed is gone. */
static void restart(struct script *s)
{
    desk_free(s->desk);
    assert_int_equal(s->parcels, 0);
    open_desk(s);
}

/* ---- a producer ---- */

static void say(struct script *s, uint32_t link, struct message m)
{
    uint8_t data[65536];
    m.stream = stream_key("s");
    assert_true(message_bytes(&m) <= sizeof data);
    assert_int_equal(message_encode(&m, data), 0);
    desk_message(s->desk, link, data, message_bytes(&m), s->now);
}

static void describe(struct descriptor *d, float *mean)
{
    *d = (struct descriptor){
        .stream = "s", .dtype = DTYPE_F32, .width = WIDTH, .hooks = 1, .share_count = 2};
    strcpy(d->hook[0].name, "h");
    d->hook[0].width = WIDTH;
    d->hook[0].scale = 1;
    d->mean = mean;
}

static void hello_as(struct script *s, uint32_t link, uint32_t producer, uint32_t epoch,
                     const struct descriptor *d)
{
    char *text;
    size_t bytes;
    assert_int_equal(descriptor_encode(d, &text, &bytes), 0);
    struct message m = {.type = MESSAGE_HELLO,
                        .flags = d->shed ? MESSAGE_SHED : 0,
                        .producer = producer,
                        .share_count = d->share_count,
                        .epoch = epoch,
                        .text = text,
                        .text_bytes = (uint32_t)bytes};
    strcpy(m.name, "capture");
    say(s, link, m);
    free(text);
}

static void hello(struct script *s, uint32_t link, uint32_t producer, uint32_t epoch)
{
    struct descriptor d;
    describe(&d, NULL);
    d.shed = s->config->stream.policy == CONFIG_SHED;
    hello_as(s, link, producer, epoch, &d);
}

static void send_description(struct script *s, uint32_t link)
{
    float mean[WIDTH] = {0};
    struct descriptor d;
    char *text;
    size_t bytes;
    describe(&d, mean);
    d.shed = s->config->stream.policy == CONFIG_SHED;
    d.measured = 1;
    assert_int_equal(descriptor_encode(&d, &text, &bytes), 0);
    say(s, link,
        (struct message){.type = MESSAGE_DESCRIBE,
                         .session = s->session[link - 1],
                         .text = text,
                         .text_bytes = (uint32_t)bytes});
    free(text);
}

/* Producer 0 on link 1, described and welcome. */
static void join(struct script *s)
{
    hello(s, 1, 0, 0);
    assert_int_equal(last(s)->m.type, MESSAGE_WELCOME);
    if (last(s)->m.flags & MESSAGE_MEASURE) send_description(s, 1);
    assert_int_equal(last(s)->m.type, MESSAGE_WELCOME);
    assert_false(last(s)->m.flags & MESSAGE_MEASURE);
}

struct held {
    struct script *script;
    uint8_t data[];
};

static void give_back(void *owner)
{
    struct held *h = owner;
    h->script->parcels--;
    free(h);
}

enum spoil { WHOLE, SPOIL_PAYLOAD, NOT_FINITE, OTHER_ROWS, OTHER_SHARE };

static void send_spoilt(struct script *s, uint32_t link, uint32_t producer, uint64_t number,
                        uint32_t rows, enum spoil spoil)
{
    size_t raw = frame_raw_bytes(rows, WIDTH + s->lie.width, DTYPE_F32);
    struct held *h = malloc(sizeof *h + FRAME_HEADER_BYTES + raw);
    struct row_id *ids = calloc(rows, sizeof *ids);
    float *x = calloc((size_t)rows * (WIDTH + s->lie.width), sizeof *x);
    for (uint32_t i = 0; i < rows; i++)
        ids[i] = (struct row_id){2 * (number + (spoil == OTHER_ROWS)) + producer, i, producer};
    if (spoil == OTHER_SHARE) ids[rows - 1].sequence++;
    uint8_t *payload = h->data + FRAME_HEADER_BYTES;
    rows_to_raw(DTYPE_F32, rows, WIDTH + s->lie.width, ids, x, payload);
    float infinite = 1.0f / 0.0f;
    if (spoil == NOT_FINITE) memcpy(payload + raw - 4, &infinite, 4);
    struct frame_header header = {.stream = stream_key("s") + s->lie.stream,
                                  .session = s->session[link - 1],
                                  .number = number,
                                  .producer = producer + s->lie.producer,
                                  .epoch = s->epoch[link - 1] + s->lie.epoch,
                                  .end = {.position = (uint32_t)number + 1 - s->lie.back},
                                  .captured_ns = s->lie.captured_ns,
                                  .totals = {.captured_rows = (number - s->uncounted) * rows},
                                  .rows = rows,
                                  .width = WIDTH + s->lie.width,
                                  .dtype = DTYPE_F32};
    assert_int_equal(frame_seal(&header, payload, payload, NULL), 0);
    frame_encode(&header, h->data);
    if (spoil == SPOIL_PAYLOAD) payload[raw / 2] ^= 1;
    h->script = s;
    s->parcels++;
    struct parcel parcel = {h->data, FRAME_HEADER_BYTES + raw, h, give_back};
    if (!desk_frame(s->desk, link, &parcel, s->now)) give_back(h);
    free(ids);
    free(x);
}

static void send(struct script *s, uint32_t link, uint32_t producer, uint64_t number)
{
    send_spoilt(s, link, producer, number, s->rows_per_slab, WHOLE);
}

static void ping(struct script *s, uint32_t link)
{
    say(s, link, (struct message){.type = MESSAGE_PING, .session = s->session[link - 1]});
}

static void end(struct script *s, uint32_t link, uint64_t next_number)
{
    say(s, link,
        (struct message){
            .type = MESSAGE_END, .session = s->session[link - 1], .next_number = next_number});
}

static void expect_state(const struct script *s, uint32_t link, uint32_t flags, uint64_t next)
{
    const struct message *m = last_to(s, link);
    assert_int_equal(m->type, MESSAGE_STATE);
    assert_int_equal(m->flags, flags);
    assert_int_equal(m->next_number, next);
}

static void expect_refused(const struct script *s, uint32_t link, int code, int may_retry)
{
    const struct message *m = last_to(s, link);
    assert_int_equal(m->type, MESSAGE_REFUSE);
    assert_int_equal(m->code, code);
    assert_int_equal(!!(m->flags & MESSAGE_RETRY), may_retry);
}

/* ---- the tests ---- */

static void first_producer_measures(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    hello(&s, 1, 0, 0);
    assert_true(last(&s)->m.flags & MESSAGE_MEASURE);
    assert_int_equal(last(&s)->m.epoch, 1);
    hello(&s, 2, 1, 0);
    expect_refused(&s, 2, ERR_AGAIN, 1); /* somebody is at it */
    say(&s, 1, (struct message){.type = MESSAGE_BYE, .session = s.session[0]});
    hello(&s, 2, 1, 0); /* the first one has gone: it is the second's turn */
    assert_true(last(&s)->m.flags & MESSAGE_MEASURE);
    send_description(&s, 2);
    assert_int_equal(last(&s)->m.type, MESSAGE_WELCOME);
    assert_int_equal(last(&s)->m.flags, 0);
    assert_true(last(&s)->m.credit > 0);
    hello(&s, 1, 0, 0);
    assert_int_equal(last(&s)->m.flags, 0);
    assert_int_equal(last(&s)->m.epoch, 2);
    finish(&s);
}

static void another_measures_for_an_empty_share(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    hello(&s, 1, 0, 0);
    hello(&s, 2, 1, 0);
    expect_refused(&s, 2, ERR_AGAIN, 1);
    end(&s, 1, 1); /* it has no row to measure */
    expect_refused(&s, 1, ERR_AGAIN, 1);
    assert_int_equal(desk_gauges(s.desk).ended_producers, 0); /* nothing is committed of it */
    hello(&s, 1, 0, s.epoch[0]);
    expect_refused(&s, 1, ERR_AGAIN, 1); /* nor is it asked twice */
    hello(&s, 2, 1, 0);
    assert_true(last(&s)->m.flags & MESSAGE_MEASURE);
    send_description(&s, 2);
    hello(&s, 1, 0, s.epoch[0]);
    assert_int_equal(last_to(&s, 1)->type, MESSAGE_WELCOME);
    assert_int_equal(last_to(&s, 1)->flags, 0);
    end(&s, 1, 1); /* and now it ends, without a row */
    expect_state(&s, 1, MESSAGE_ENDED, 1);
    assert_int_equal(desk_gauges(s.desk).ended_producers, 1);
    finish(&s);
}

static void only_when_all_shares_are_empty_the_corpus_is(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    hello(&s, 1, 0, 0);
    end(&s, 1, 1);
    expect_refused(&s, 1, ERR_AGAIN, 1);
    hello(&s, 2, 1, 0);
    end(&s, 2, 1);
    expect_refused(&s, 2, ERR_USAGE, 0);
    assert_non_null(strstr(last(&s)->text, "the corpus is empty"));
    hello(&s, 1, 0, s.epoch[0]);
    expect_refused(&s, 1, ERR_USAGE, 0);
    assert_int_equal(desk_gauges(s.desk).ended_producers, 0);
    hello(&s, 1, 0, 0); /* a new life, perhaps with another corpus */
    assert_true(last(&s)->m.flags & MESSAGE_MEASURE);
    send_description(&s, 1);
    assert_int_equal(last(&s)->m.flags, 0);
    finish(&s);
}

static void acks_after_commit(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    join(&s);
    uint64_t count = s.count;
    send(&s, 1, 0, 1);
    send(&s, 1, 0, 2);
    assert_int_equal(s.count, count); /* nothing is committed yet, nothing acked */
    assert_int_equal(s.parcels, 2);
    desk_flush(s.desk, s.now);
    expect_state(&s, 1, 0, 3);
    assert_int_equal(s.parcels, 0);
    send(&s, 1, 0, 3);
    restart(&s); /* killed before the commit: 3 comes again */
    hello(&s, 1, 0, 1);
    assert_int_equal(last(&s)->m.next_number, 3);
    assert_int_equal(last(&s)->m.cursor.position, 3);
    assert_int_equal(desk_gauges(s.desk).slabs, 2);
    finish(&s);
}

static void duplicates_and_gaps(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    join(&s);
    send(&s, 1, 0, 1);
    desk_flush(s.desk, s.now);
    send(&s, 1, 0, 1);
    expect_state(&s, 1, 0, 2); /* acked again */
    assert_int_equal(desk_counters(s.desk).duplicate_frames, 1);
    send(&s, 1, 0, 3);
    expect_state(&s, 1, MESSAGE_RESYNC, 2);
    uint64_t count = s.count;
    send(&s, 1, 0, 4);
    assert_int_equal(s.count, count); /* once is enough */
    s.now += 2 * second;
    send(&s, 1, 0, 5);
    expect_state(&s, 1, MESSAGE_RESYNC, 2);
    send(&s, 1, 0, 2);
    send(&s, 1, 0, 3);
    desk_flush(s.desk, s.now);
    expect_state(&s, 1, 0, 4);
    assert_int_equal(desk_gauges(s.desk).slabs, 3);
    finish(&s);
}

static void fences(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    join(&s);
    send(&s, 1, 0, 1);
    uint64_t old = s.session[0];
    hello(&s, 2, 0, 0); /* another process for the same share */
    expect_refused(&s, 1, ERR_FENCED, 0);
    assert_int_equal(last_to(&s, 2)->type, MESSAGE_WELCOME);
    assert_int_equal(last_to(&s, 2)->epoch, 2);
    assert_int_equal(last_to(&s, 2)->next_number, 2);
    s.session[0] = old;
    s.epoch[0] = 1;
    send(&s, 1, 0, 2); /* the old one goes on: nothing of it is taken */
    desk_flush(s.desk, s.now);
    assert_int_equal(desk_counters(s.desk).stale_frames, 1);
    assert_int_equal(desk_gauges(s.desk).slabs, 1);
    hello(&s, 1, 0, 1); /* nor its old epoch */
    expect_refused(&s, 1, ERR_FENCED, 0);
    finish(&s);
}

static void credit_is_kept_to(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    join(&s);
    uint64_t capacity = desk_gauges(s.desk).capacity_slabs;
    uint64_t credit = s.credit[0];
    assert_true(credit <= capacity - 2); /* the other producer keeps room for two */
    send(&s, 1, 0, credit + 1);
    assert_int_equal(desk_counters(s.desk).beyond_credit_frames, 1);
    for (uint64_t n = 1; n <= capacity; n++) {
        if (n > s.credit[0]) break;
        send(&s, 1, 0, n);
        desk_flush(s.desk, s.now);
    }
    assert_int_equal(desk_gauges(s.desk).slabs, capacity - 2);
    assert_int_equal(s.credit[0], capacity - 2);
    hello(&s, 2, 1, 0);
    assert_int_equal(s.credit[1], 2);
    say(&s, 2, (struct message){.type = MESSAGE_BYE, .session = s.session[1]});
    assert_int_equal(desk_gauges(s.desk).reserved_slabs, 0); /* given back */
    finish(&s);
}

static void damaged_frames_come_again(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    join(&s);
    send(&s, 1, 0, 1);
    send_spoilt(&s, 1, 0, 2, s.rows_per_slab, SPOIL_PAYLOAD);
    send(&s, 1, 0, 3);
    desk_flush(s.desk, s.now);
    assert_int_equal(desk_gauges(s.desk).slabs, 1);
    assert_int_equal(s.next[0], 2);
    assert_int_equal(s.parcels, 0);
    send(&s, 1, 0, 2);
    send(&s, 1, 0, 3);
    desk_flush(s.desk, s.now);
    expect_state(&s, 1, 0, 4);
    finish(&s);
}

static void wrong_frames_end_their_producer(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    join(&s);
    hello(&s, 2, 1, 0);
    send(&s, 1, 0, 1);
    send_spoilt(&s, 1, 0, 2, s.rows_per_slab, NOT_FINITE);
    send(&s, 2, 1, 1);
    desk_flush(s.desk, s.now);
    expect_refused(&s, 1, ERR_FORMAT, 0);
    expect_state(&s, 2, 0, 2); /* the other one's frame is not touched by it */
    assert_int_equal(desk_gauges(s.desk).slabs, 2);
    hello(&s, 1, 0, 0);
    send_spoilt(&s, 1, 0, 2, s.rows_per_slab + 1, WHOLE);
    expect_refused(&s, 1, ERR_MISMATCH, 0);
    finish(&s);
}

static void expect_words(const struct script *s, const char *words)
{
    if (!strstr(last(s)->text, words)) fail_msg("no '%s' in: %s", words, last(s)->text);
}

/* A descriptor that can't be read: whose, in which message, and what next. */
static void broken_descriptors_name_their_message(void **unused)
{
    (void)unused;
    static const char newer[] = "{\"version\":7}", cut[] = "{\"version\":1,";
    struct script s;
    start(&s, "");
    struct message m = {.type = MESSAGE_HELLO,
                        .producer = 1,
                        .share_count = 2,
                        .name = "capture-1",
                        .text = newer,
                        .text_bytes = sizeof newer - 1};
    say(&s, 2, m);
    expect_refused(&s, 2, ERR_VERSION, 0);
    expect_words(&s, "the descriptor in the HELLO of producer 1, capture-1: ");
    expect_words(&s, "version 7, this build knows 1; HINT: ");
    hello(&s, 1, 0, 0);
    say(&s, 1,
        (struct message){.type = MESSAGE_DESCRIBE,
                         .session = s.session[0],
                         .text = cut,
                         .text_bytes = sizeof cut - 1});
    expect_refused(&s, 1, ERR_FORMAT, 0);
    expect_words(&s, "the descriptor in the DESCRIBE of producer 0: ");
    expect_words(&s, "no JSON: byte 1");
    expect_words(&s, "; HINT: ");
    finish(&s);
}

/* Of the two that the sink keeps: which, and what next. */
static void broken_descriptors_name_their_file(void **unused)
{
    (void)unused;
    struct script s;
    char path[128];
    start(&s, "");
    join(&s);
    desk_free(s.desk);
    s.desk = NULL;
    snprintf(path, sizeof path, "%s/run/descriptor.json", s.dir);
    assert_int_equal(file_replace(path, "{\"version\":7}", 13), 0);
    struct desk_options o = {.config = s.config, .name = "sink", .life = 9, .say = hear, .arg = &s};
    assert_int_equal(desk_new(&o, s.now, &s.desk), ERR_VERSION);
    print_message("%s\n", err_text());
    assert_non_null(strstr(err_text(), path));
    assert_non_null(strstr(err_text(), "HINT: move this file away"));
    assert_int_equal(unlink(path), 0); /* as it says: the buffer's is taken */
    open_desk(&s);
    hello(&s, 1, 0, 0);
    assert_int_equal(last_to(&s, 1)->type, MESSAGE_WELCOME);
    assert_int_equal(last_to(&s, 1)->flags, 0);
    assert_int_equal(access(path, F_OK), 0);
    finish(&s);
}

static void another_stream_is_refused(void **unused)
{
    (void)unused;
    struct script s;
    struct descriptor d;
    start(&s, "");
    join(&s);
    describe(&d, NULL);
    d.model_hash = 5;
    hello_as(&s, 2, 1, 0, &d);
    expect_refused(&s, 2, ERR_MISMATCH, 0);
    assert_non_null(strstr(last(&s)->text, "the model's fingerprint"));
    describe(&d, NULL);
    d.share_count = 3;
    hello_as(&s, 2, 1, 0, &d);
    expect_refused(&s, 2, ERR_MISMATCH, 0);
    describe(&d, NULL);
    d.shed = 1;
    hello_as(&s, 2, 1, 0, &d);
    expect_refused(&s, 2, ERR_MISMATCH, 0);
    describe(&d, NULL);
    hello_as(&s, 2, 2, 0, &d);
    expect_refused(&s, 2, ERR_MISMATCH, 0);
    finish(&s);
}

static void the_end(void **unused)
{
    (void)unused;
    struct script s;
    int code;
    start(&s, "");
    join(&s);
    send(&s, 1, 0, 1);
    end(&s, 1, 3); /* frame 2 was lost on the way */
    expect_state(&s, 1, MESSAGE_RESYNC, 2);
    send(&s, 1, 0, 2);
    end(&s, 1, 3);
    expect_state(&s, 1, MESSAGE_ENDED, 3);
    end(&s, 1, 3); /* its answer was lost */
    expect_state(&s, 1, MESSAGE_ENDED, 3);
    assert_false(desk_is_over(s.desk, s.now, &code));
    restart(&s); /* the end is committed */
    hello(&s, 1, 0, 0);
    assert_true(last(&s)->m.flags & MESSAGE_ENDED);
    hello(&s, 2, 1, 0);
    assert_false(last(&s)->m.flags & MESSAGE_ENDED);
    end(&s, 2, 1); /* an empty share */
    assert_true(desk_gauges(s.desk).has_ended);
    assert_false(desk_is_over(s.desk, s.now, &code)); /* its producers are still to hear of it */
    say(&s, 1, (struct message){.type = MESSAGE_BYE, .session = s.session[0]});
    say(&s, 2, (struct message){.type = MESSAGE_BYE, .session = s.session[1]});
    assert_true(desk_is_over(s.desk, s.now, &code));
    assert_int_equal(code, 0);
    desk_leave(s.desk, s.now);
    assert_int_equal(last(&s)->link, 0);
    assert_int_equal(last(&s)->m.flags, MESSAGE_ENDED);
    finish(&s);
}

static void broker_comes_and_goes(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    desk_tick(s.desk, s.now);
    assert_int_equal(last_to(&s, 0)->type, MESSAGE_ATTACH);
    say(&s, 0, (struct message){.type = MESSAGE_ATTACHED, .session = 50});
    join(&s);
    s.now += 2 * second;
    desk_tick(s.desk, s.now);
    assert_int_equal(last_to(&s, 0)->type, MESSAGE_PING);
    say(&s, 0, (struct message){.type = MESSAGE_ATTACHED, .session = 50});
    ping(&s, 1);
    expect_state(&s, 1, 0, 1);
    say(&s, 0, (struct message){.type = MESSAGE_REFUSE, .flags = MESSAGE_RETRY});
    desk_tick(s.desk, s.now);
    assert_int_equal(last_to(&s, 0)->type, MESSAGE_ATTACH);
    say(&s, 0, (struct message){.type = MESSAGE_ATTACHED, .session = 51});
    ping(&s, 1); /* a link of the broker before */
    expect_refused(&s, 1, ERR_STATE, 1);
    hello(&s, 1, 0, 1);
    send(&s, 1, 0, 1);
    say(&s, 1, (struct message){.type = MESSAGE_GONE});
    ping(&s, 1);
    expect_refused(&s, 1, ERR_STATE, 1);
    assert_int_equal(desk_gauges(s.desk).slabs, 1); /* what had come was committed */
    finish(&s);
}

static void silent_producers_give_credit_back(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    join(&s);
    s.now += 14 * second;
    desk_tick(s.desk, s.now);
    assert_int_equal(desk_gauges(s.desk).live_producers, 1);
    s.now += 2 * second;
    desk_tick(s.desk, s.now);
    assert_int_equal(desk_gauges(s.desk).live_producers, 0);
    assert_int_equal(desk_gauges(s.desk).reserved_slabs, 0);
    finish(&s);
}

/* ---- consumers ---- */

static void put_state(struct script *s, uint64_t lowest, uint32_t finished)
{
    char dir[128];
    struct consumer_producer p[2] = {
        {.lowest = lowest, .cursor = {.position = (uint32_t)lowest}, .harvested = 1, .epoch = 1},
        {.lowest = 1, .harvested = 1}};
    struct consumer_state state = {.name = "c",
                                   .stream = stream_key("s"),
                                   .finished = finished,
                                   .producers = 2,
                                   .producer = p};
    snprintf(dir, sizeof dir, "%s/run/buffer", s->dir);
    assert_int_equal(consumer_write(dir, &state), 0);
}

static void write_state(struct script *s, uint64_t lowest, uint32_t finished)
{
    put_state(s, lowest, finished);
    s->now += second;
    desk_tick(s->desk, s->now);
}

static void start_with_consumer(struct script *s)
{
    static const char *const sets[] = {"trainer.consumers=[c]"};
    start_with(s, "", sets, 1);
    join(s);
    for (uint64_t n = 1; n <= 6; n++) send(s, 1, 0, n);
    desk_flush(s->desk, s->now);
    assert_int_equal(desk_gauges(s->desk).slabs, 6);
}

static void frees_what_is_covered(void **unused)
{
    (void)unused;
    struct script s;
    start_with_consumer(&s);
    write_state(&s, 4, 0);
    assert_int_equal(desk_gauges(s.desk).slabs, 3);
    assert_int_equal(desk_counters(s.desk).freed_slabs, 3);
    restart(&s);
    desk_tick(s.desk, s.now);
    assert_int_equal(desk_gauges(s.desk).slabs, 3);
    finish(&s);
}

/* A trainer ends, and its sink is told to end right after it. */
static void frees_what_was_covered_just_now(void **unused)
{
    (void)unused;
    struct script s;
    start_with_consumer(&s);
    put_state(&s, 4, 0);
    desk_leave(s.desk, s.now);
    assert_int_equal(desk_gauges(s.desk).slabs, 3);
    put_state(&s, 7, 1);
    desk_leave(s.desk, s.now);
    assert_int_equal(desk_gauges(s.desk).slabs, 0);
    assert_true(last(&s)->m.flags & MESSAGE_ENDED);
    finish(&s);
}

/* A checkpoint covers hundreds of slabs of a full buffer at once, again and again: their pages are
 * found again for as many new slabs. */
static void frees_many_at_once(void **unused)
{
    (void)unused;
    static const char *const sets[] = {"trainer.consumers=[c]", "sink.size=192MiB",
                                       "sink.slab=256KiB"};
    struct script s;
    struct rng rng;
    uint64_t n = 1, lowest = 1;
    start_with(&s, "", sets, 3);
    join(&s);
    hello(&s, 2, 1, 0);
    end(&s, 2, 1); /* so that no room is kept for it */
    rng_seed(&rng, 1);
    for (int round = 0; round < 16; round++) {
        for (int idle = 0; idle < 50; idle++) {
            for (int i = 0; i < 16 && n <= s.credit[0]; i++, idle = 0) send(&s, 1, 0, n++);
            s.now += second / 50;
            desk_flush(s.desk, s.now);
        }
        assert_false(desk_has_frames(s.desk));
        assert_int_equal(desk_gauges(s.desk).slabs, n - lowest);
        assert_true(n - lowest > 600);
        lowest += 1 + rng_below(&rng, n - lowest);
        write_state(&s, lowest, 0);
        assert_int_equal(desk_gauges(s.desk).slabs, n - lowest);
    }
    assert_int_equal(desk_counters(s.desk).failed_commits, 0);
    finish(&s);
}

/* It comes back with an older checkpoint: what was freed is made again, what is there is not stored
 * twice, what was made again with other rows is refused. */
static void goes_back(void **unused)
{
    (void)unused;
    struct script s;
    start_with_consumer(&s);
    write_state(&s, 5, 0);
    assert_int_equal(desk_gauges(s.desk).slabs, 2);
    write_state(&s, 3, 0);
    expect_refused(&s, 1, ERR_STATE, 1);
    assert_int_equal(desk_counters(s.desk).rewinds, 1);
    hello(&s, 1, 0, 1);
    assert_int_equal(last(&s)->m.next_number, 3);
    assert_int_equal(last(&s)->m.cursor.position, 3);
    for (uint64_t n = 3; n <= 5; n++) send(&s, 1, 0, n);
    desk_flush(s.desk, s.now);
    expect_state(&s, 1, 0, 6);
    assert_int_equal(desk_counters(s.desk).known_frames, 1);
    assert_int_equal(desk_gauges(s.desk).slabs, 4);
    send_spoilt(&s, 1, 0, 6, s.rows_per_slab, OTHER_ROWS);
    desk_flush(s.desk, s.now);
    expect_refused(&s, 1, ERR_MISMATCH, 0);
    finish(&s);
}

/* The buffer is damaged while no sink runs. */
static void damage_buffer(struct script *s)
{
    char path[128], data[4096];
    desk_free(s->desk);
    s->desk = NULL;
    snprintf(path, sizeof path, "%s/run/buffer/data.mdb", s->dir);
    memset(data, 0x5a, sizeof data);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    for (int i = 0; i < 4; i++) fwrite(data, sizeof data, 1, f);
    fclose(f);
}

/* A producer that waits for room hears of it at once, also where the commit of another one's frame
 * gave it the room. */
static void room_is_told_at_once(void **unused)
{
    (void)unused;
    struct script s;
    static const char *const sets[] = {"trainer.consumers=[c]"};
    start_with(&s, "", sets, 1);
    join(&s);
    hello(&s, 2, 1, 0);
    uint64_t n = 1, waiting = 1;
    while (n < s.credit[0] || waiting <= s.credit[1]) { /* till the buffer has room for one more */
        if (n < s.credit[0]) send(&s, 1, 0, n++);
        if (waiting <= s.credit[1]) send(&s, 2, 1, waiting++);
        desk_flush(s.desk, s.now);
    }
    send(&s, 1, 0, n);
    write_state(&s, 4, 0); /* and a tick, in which slabs are freed and that frame is committed */
    assert_int_equal(desk_counters(s.desk).freed_slabs, 3);
    assert_true(s.credit[1] >= waiting);
    finish(&s);
}

/* What a producer makes again, in the same life or in a new one, is in its totals once. */
static void what_is_made_again_is_counted_once(void **unused)
{
    (void)unused;
    for (int is_new_life = 0; is_new_life < 2; is_new_life++) {
        struct script s;
        start_with_consumer(&s);
        write_state(&s, 5, 0);
        write_state(&s, 3, 0);
        hello(&s, 1, 0, !is_new_life);
        assert_int_equal(last(&s)->m.next_number, 3);
        s.uncounted = is_new_life ? 2 : (uint64_t)-4; /* frame 3 is the first, or the seventh */
        for (uint64_t n = 3; n <= 8; n++) send(&s, 1, 0, n);
        desk_flush(s.desk, s.now);
        expect_state(&s, 1, 0, 9);
        assert_int_equal(desk_counters(s.desk).known_frames, 2);
        const struct store_producer *r = &desk_sessions(s.desk)->session[0].record;
        assert_int_equal(r->rows, 8 * s.rows_per_slab);
        assert_int_equal(r->totals.captured_rows + r->past_totals.captured_rows, r->rows);
        finish(&s);
    }
}

static void lose_buffer(struct script *s)
{
    damage_buffer(s);
    open_desk(s);
}

static void lost_buffer_is_made_again(void **unused)
{
    (void)unused;
    struct script s;
    char path[128];
    start_with_consumer(&s);
    write_state(&s, 4, 0);
    lose_buffer(&s);
    assert_int_equal(desk_gauges(s.desk).slabs, 0);
    hello(&s, 1, 0, 1);
    assert_int_equal(last(&s)->m.type, MESSAGE_WELCOME);
    assert_int_equal(last(&s)->m.flags, 0); /* what was measured is still known */
    assert_int_equal(last(&s)->m.next_number, 4);
    assert_int_equal(last(&s)->m.cursor.position, 4);
    assert_int_equal(desk_sessions(s.desk)->session[0].record.rows, 3 * s.rows_per_slab);
    snprintf(path, sizeof path, "%s/run/descriptor.json", s.dir);
    assert_int_equal(unlink(path), 0); /* the new buffer knows it as well */
    restart(&s);
    hello(&s, 1, 0, 1);
    assert_int_equal(last(&s)->m.flags, 0);
    assert_int_equal(access(path, R_OK), 0);
    finish(&s);
}

/* A sink that is killed after a checkpoint and before it has freed by it: the next one frees, also
 * where no consumer writes again, as it waits for rows. */
static void frees_what_was_covered_before_it_was_started(void **unused)
{
    (void)unused;
    struct script s;
    start_with_consumer(&s);
    desk_free(s.desk);
    s.desk = NULL;
    put_state(&s, 4, 0);
    open_desk(&s);
    assert_int_equal(desk_gauges(s.desk).slabs, 6);
    s.now += second;
    desk_tick(s.desk, s.now);
    assert_int_equal(desk_gauges(s.desk).slabs, 3);
    finish(&s);
}

/* The file is a copy of what the buffer has. */
static void a_damaged_descriptor_file_is_made_again(void **unused)
{
    (void)unused;
    struct script s;
    char path[128], *text, *again;
    size_t bytes;
    start_with_consumer(&s);
    snprintf(path, sizeof path, "%s/run/descriptor.json", s.dir);
    assert_int_equal(file_read(path, 1 << 20, &text, &bytes), 0);
    assert_int_equal(file_replace(path, text, bytes / 2), 0);
    restart(&s);
    hello(&s, 1, 0, 1);
    assert_int_equal(last(&s)->m.type, MESSAGE_WELCOME);
    assert_int_equal(last(&s)->m.flags, 0);
    assert_int_equal(last(&s)->m.next_number, 7);
    assert_int_equal(file_read(path, 1 << 20, &again, &bytes), 0);
    assert_string_equal(again, text);
    free(again);
    free(text);
    finish(&s);
}

/* A trainer draws from a buffer as soon as that has its descriptor: not before the sink knows where
 * its producers go on. */
static void a_new_buffer_is_shown_with_its_records(void **unused)
{
    (void)unused;
    struct script s;
    char path[128], *text;
    size_t bytes;
    struct store *store;
    start_with_consumer(&s);
    write_state(&s, 4, 0);
    damage_buffer(&s);
    snprintf(path, sizeof path, "%s/run/buffer/CONSUMERS/c.state", s.dir);
    assert_int_equal(file_replace(path, "?", 1), 0);
    struct desk_options o = {.config = s.config, .name = "sink", .life = 9, .say = hear, .arg = &s};
    assert_int_equal(desk_new(&o, s.now, &s.desk), 0);
    hello(&s, 1, 0, 1); /* it may come back: the consumer writes its place again */
    expect_refused(&s, 1, ERR_AGAIN, 1);
    desk_free(s.desk);
    s.desk = NULL;
    snprintf(path, sizeof path, "%s/run/buffer", s.dir);
    struct store_options same = {
        .dir = path, .stream = "s", .size_bytes = 4 << 20, .width = WIDTH, .dtype = DTYPE_F32};
    assert_int_equal(store_open(&same, &store), 0);
    assert_int_equal(store_descriptor_get(store, &text, &bytes), ERR_NOTFOUND);
    store_close(store);
    finish(&s);
}

/* A full disk, played by a limit on the size of files: nothing is acked, nothing is lost, and a
 * session that breaks off meanwhile leaves nothing behind. */
static void full_disk_is_waited_out(void **unused)
{
    (void)unused;
    struct script s;
    struct stat st;
    struct rlimit was, full;
    char path[128];
    start(&s, "");
    join(&s);
    snprintf(path, sizeof path, "%s/run/buffer/data.mdb", s.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    full = was;
    full.rlim_cur = (rlim_t)st.st_size;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    for (uint64_t n = 1; n <= 3; n++) send(&s, 1, 0, n);
    desk_flush(s.desk, s.now);
    assert_int_equal(desk_gauges(s.desk).slabs, 0);
    assert_int_equal(s.next[0], 1);
    assert_int_equal(s.parcels, 3); /* kept */
    assert_true(desk_gauges(s.desk).trouble[0]);
    hello(&s, 1, 0, 1);
    assert_int_equal(last(&s)->m.next_number, 1);
    assert_int_equal(s.parcels, 0);
    for (uint64_t n = 1; n <= 2; n++) send(&s, 1, 0, n);
    s.now += 2 * second;
    desk_flush(s.desk, s.now);
    assert_int_equal(s.next[0], 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    s.now += 2 * second;
    desk_tick(s.desk, s.now);
    expect_state(&s, 1, 0, 3);
    assert_int_equal(desk_gauges(s.desk).slabs, 2);
    assert_int_equal(desk_counters(s.desk).known_frames, 0);
    assert_false(desk_gauges(s.desk).trouble[0]);
    finish(&s);
}

/* No frame waits yet, so nobody else would tell why the stream does not begin. */
static void a_full_disk_is_told_before_the_first_frame(void **unused)
{
    (void)unused;
    struct script s;
    struct rlimit was, full;
    start(&s, "");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    full = was;
    full.rlim_cur = 1 << 12;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    hello(&s, 1, 0, 0);
    assert_int_equal(last(&s)->m.type, MESSAGE_REFUSE);
    assert_true(last(&s)->m.flags & MESSAGE_RETRY);
    assert_true(desk_gauges(s.desk).trouble[0]);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    join(&s);
    assert_false(desk_gauges(s.desk).trouble[0]);
    assert_true(desk_gauges(s.desk).slab_bytes > 0);
    for (uint64_t n = 1; n <= 2; n++) send(&s, 1, 0, n);
    desk_flush(s.desk, s.now);
    assert_int_equal(desk_gauges(s.desk).stream_rows, desk_counters(s.desk).rows);
    finish(&s);
}

/* Nothing is committed after them: opening and description tell themselves that they went well. */
static void what_a_full_disk_refused_is_forgotten(void **unused)
{
    (void)unused;
    struct script s;
    struct rlimit was, full;
    char path[128];
    start(&s, "");
    hello(&s, 1, 0, 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    full = was;
    full.rlim_cur = 8;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    send_description(&s, 1);
    assert_int_equal(last(&s)->m.type, MESSAGE_REFUSE);
    assert_true(last(&s)->m.flags & MESSAGE_RETRY);
    assert_true(desk_gauges(s.desk).trouble[0]);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    hello(&s, 1, 0, 1);
    send_description(&s, 1);
    assert_int_equal(last(&s)->m.type, MESSAGE_WELCOME);
    if (desk_gauges(s.desk).trouble[0]) fail_msg("described: %s", desk_gauges(s.desk).trouble);
    snprintf(path, sizeof path, "%s/run/descriptor.json", s.dir);
    assert_int_equal(unlink(path), 0);
    restart(&s);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    hello(&s, 1, 0, 1);
    assert_int_equal(last(&s)->m.type, MESSAGE_REFUSE);
    assert_true(desk_gauges(s.desk).trouble[0]);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    hello(&s, 1, 0, 1);
    assert_int_equal(last(&s)->m.type, MESSAGE_WELCOME);
    if (desk_gauges(s.desk).trouble[0]) fail_msg("opened: %s", desk_gauges(s.desk).trouble);
    finish(&s);
}

static void stops_when_nobody_needs_more(void **unused)
{
    (void)unused;
    struct script s;
    int code;
    start_with_consumer(&s);
    send(&s, 1, 0, 7);
    write_state(&s, 4, 1);
    expect_state(&s, 1, MESSAGE_STOP | MESSAGE_ENDED, last_to(&s, 1)->next_number);
    say(&s, 1, (struct message){.type = MESSAGE_BYE, .session = s.session[0]});
    assert_true(desk_is_over(s.desk, s.now, &code));
    finish(&s);
}

static void write_progress(struct script *s, uint64_t finished_slabs)
{
    char dir[128];
    int fd;
    struct consumer_progress p = {.stream = stream_key("s"), .finished_slabs = finished_slabs};
    snprintf(dir, sizeof dir, "%s/run/buffer", s->dir);
    assert_int_equal(consumer_progress_open(dir, "c", &fd), 0);
    assert_int_equal(consumer_progress_write(fd, &p), 0);
    close(fd);
    s->now += second;
    desk_tick(s->desk, s->now);
}

static void asks_for_checkpoints(void **unused)
{
    (void)unused;
    struct script s;
    start_with_consumer(&s);
    for (uint64_t n = 7; n <= 40 && n <= s.credit[0]; n++) {
        send(&s, 1, 0, n);
        desk_flush(s.desk, s.now);
    }
    uint64_t eighth = desk_gauges(s.desk).capacity_slabs / 8;
    write_progress(&s, eighth);
    assert_int_equal(desk_counters(s.desk).checkpoint_requests, 0);
    write_progress(&s, eighth + 1);
    assert_int_equal(desk_counters(s.desk).checkpoint_requests, 1);
    write_progress(&s, eighth + 2); /* once is enough until it is answered */
    assert_int_equal(desk_counters(s.desk).checkpoint_requests, 1);
    finish(&s);
}

/* ---- live ---- */

static void live_replaces_the_oldest(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, ", policy: shed");
    join(&s);
    uint64_t capacity = desk_gauges(s.desk).capacity_slabs;
    for (uint64_t n = 1; n <= 3 * capacity; n++) {
        for (int i = 0; i < 50 && n > s.credit[0]; i++) {
            s.now += second / 20;
            desk_tick(s.desk, s.now);
            ping(&s, 1);
        }
        assert_true(n <= s.credit[0]);
        send(&s, 1, 0, n);
        desk_flush(s.desk, s.now);
    }
    assert_int_equal(s.next[0], 3 * capacity + 1);
    struct desk_gauges g = desk_gauges(s.desk);
    assert_true(g.slabs >= capacity / 2 && g.slabs <= capacity);
    assert_int_equal(desk_counters(s.desk).replaced_slabs, 3 * capacity - g.slabs);
    finish(&s);
}

/* Whether two rows of a frame, one behind the other, are named somewhere in the buffer's file. */
static int is_in_file(const struct script *s, uint64_t number)
{
    char path[128], *data;
    size_t bytes;
    struct row_id pair[2] = {{2 * number, 0, 0}, {2 * number, 1, 0}};
    snprintf(path, sizeof path, "%s/run/buffer/data.mdb", s->dir);
    assert_int_equal(file_read(path, 1 << 24, &data, &bytes), ERR_OK);
    int found = memmem(data, bytes, pair, sizeof pair) != NULL;
    free(data);
    return found;
}

static void tick_for(struct script *s, int seconds)
{
    for (int i = 0; i < 20 * seconds; i++) {
        s->now += second / 20;
        desk_tick(s->desk, s->now);
        ping(s, 1);
    }
}

/* What is older than the retention is in no byte of the file; what is younger stays. */
static void live_rows_go_by_age(void **unused)
{
    (void)unused;
    static const char *const sets[] = {"sink.retention=1h"};
    const uint64_t hour = 3600 * second;
    struct script s;
    start_with(&s, ", policy: shed", sets, 1);
    join(&s);
    for (uint64_t n = 1; n <= 12; n++) {
        s.lie.captured_ns = process_wall_ns() - (n % 2 ? 2 * hour : hour / 2); /* in no order */
        send(&s, 1, 0, n);
    }
    desk_flush(s.desk, s.now);
    char path[128];
    uint64_t seconds;
    snprintf(path, sizeof path, "%s/run/buffer", s.dir);
    assert_int_equal(retention_read(path, &seconds), ERR_OK); /* who reads it is told */
    assert_int_equal(seconds, 3600);
    assert_true(is_in_file(&s, 3) && is_in_file(&s, 4));
    tick_for(&s, 3);
    for (uint64_t n = 1; n <= 12; n++) assert_int_equal(is_in_file(&s, n), n % 2 == 0);
    assert_int_equal(desk_gauges(s.desk).slabs, 6);
    assert_int_equal(desk_counters(s.desk).expired_slabs, 6);
    assert_int_equal(desk_counters(s.desk).replaced_slabs, 6);
    assert_true(desk_counters(s.desk).scrubbed_pages >= 6);
    assert_true(desk_gauges(s.desk).unscrubbed_seconds < 1);
    finish(&s);
}

static int failing_after; /* 0: never; else this write of the process fails, once */

/* LMDB's writes go through this, since the executable's own functions come first. */
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    if (failing_after == 0 || --failing_after > 0)
        return syscall(SYS_pwrite64, fd, data, bytes, offset);
    errno = EIO;
    return -1;
}

/* The disk fails amid many slabs that expire: those that are gone are counted. */
static void what_expired_before_a_failure_is_counted(void **unused)
{
    (void)unused;
    static const char *const sets[] = {"sink.retention=1h"};
    struct script s;
    start_with(&s, ", policy: shed", sets, 1);
    join(&s);
    enum { FRAMES = 32 };
    for (uint64_t n = 1; n <= FRAMES; n++) {
        s.lie.captured_ns = process_wall_ns() - 2 * 3600 * second;
        send(&s, 1, 0, n);
    }
    desk_flush(s.desk, s.now);
    assert_int_equal(desk_gauges(s.desk).slabs, FRAMES);
    failing_after = 4;
    for (int i = 0; i < 100 && failing_after > 0; i++) {
        s.now += second / 20;
        desk_tick(s.desk, s.now);
    }
    uint64_t gone = FRAMES - desk_gauges(s.desk).slabs;
    assert_in_range(gone, 1, FRAMES - 1);
    assert_int_equal(desk_counters(s.desk).expired_slabs, gone);
    assert_int_equal(desk_counters(s.desk).replaced_slabs, gone);
    tick_for(&s, 10);
    assert_int_equal(desk_counters(s.desk).expired_slabs, FRAMES);
    assert_int_equal(desk_counters(s.desk).replaced_slabs, FRAMES);
    finish(&s);
}

/* A trainer that is away does not see to its held-out rows. */
static void held_out_rows_of_who_is_away_go_too(void **unused)
{
    (void)unused;
    static const char *const sets[] = {"sink.retention=1h"};
    struct script s;
    struct aged *aged;
    struct aged_row row = {.captured_ns = process_wall_ns() - 3700 * second};
    char path[128], *data;
    float values[WIDTH] = {1, 2, 3};
    size_t bytes;
    start_with(&s, ", policy: shed", sets, 1);
    snprintf(path, sizeof path, "%s/run/away", s.dir);
    assert_int_equal(dir_make(path, 0700), ERR_OK);
    strcat(path, "/held_out.aged");
    assert_int_equal(aged_open(path, WIDTH, &aged), ERR_OK);
    assert_int_equal(aged_put(aged, &row, values), ERR_OK);
    aged_close(aged);
    join(&s);
    tick_for(&s, 6);
    assert_int_equal(file_read(path, 1 << 16, &data, &bytes), ERR_OK);
    for (size_t i = 0; i < bytes; i++) assert_int_equal(data[i], 0);
    free(data);
    finish(&s);
}

/* A live stream that is over and that nobody needs leaves no row behind. */
static void the_end_of_a_live_stream_clears_it(void **unused)
{
    (void)unused;
    static const char *const sets[] = {"sink.retention=1h"};
    struct script s;
    start_with(&s, ", policy: shed", sets, 1);
    join(&s);
    s.lie.captured_ns = UINT64_MAX;
    for (uint64_t n = 1; n <= 12; n++) send(&s, 1, 0, n);
    desk_flush(s.desk, s.now);
    end(&s, 1, 13);
    hello(&s, 2, 1, 0);
    end(&s, 2, 1);
    desk_leave(s.desk, s.now);
    for (uint64_t n = 1; n <= 12; n++) assert_int_equal(is_in_file(&s, n), 0);
    finish(&s);
}

/* In the buffer of this script: a transaction that reads, or NULL. */
static MDB_txn *begin_reading(const char *dir, struct environment *e)
{
    MDB_txn *txn;
    if (environment_open_reading(dir, e) != ERR_OK) return NULL;
    return mdb_txn_begin(e->env, NULL, MDB_RDONLY, &txn) == 0 ? txn : NULL;
}

/* In a process of its own: returns when the buffer has no slab. */
static void wait_until_empty(const char *dir)
{
    struct environment e;
    MDB_stat stat = {.ms_entries = 1};
    for (int i = 0; i < 1000 && stat.ms_entries > 0; i++) {
        MDB_txn *txn = begin_reading(dir, &e);
        if (!txn || mdb_stat(txn, e.slabs, &stat) != 0) _exit(1);
        mdb_txn_abort(txn);
        environment_close(&e);
        poll(NULL, 0, 10);
    }
    _exit(stat.ms_entries > 0);
}

/* Reads till a while after the slabs were freed; then it dies in its transaction. */
static void read_on(const char *dir, int ready)
{
    struct environment e;
    int status;
    if (!begin_reading(dir, &e)) _exit(1);
    pid_t other = fork();
    if (other == 0) wait_until_empty(dir);
    if (write(ready, "x", 1) != 1) _exit(1);
    if (waitpid(other, &status, 0) != other || status != 0) _exit(1);
    poll(NULL, 0, 300);
    raise(SIGKILL);
}

/* Somebody reads the buffer as the stream ends: its rows go when he has. */
static void readers_are_waited_for_at_the_end(void **unused)
{
    (void)unused;
    static const char *const sets[] = {"sink.retention=1h"};
    struct script s;
    char dir[128], x;
    int ready[2], status;
    start_with(&s, ", policy: shed", sets, 1);
    join(&s);
    for (uint64_t n = 1; n <= 12; n++) send(&s, 1, 0, n);
    desk_flush(s.desk, s.now);
    end(&s, 1, 13);
    hello(&s, 2, 1, 0);
    end(&s, 2, 1);
    snprintf(dir, sizeof dir, "%s/run/buffer", s.dir);
    assert_int_equal(pipe(ready), 0);
    pid_t reader = fork();
    if (reader == 0) read_on(dir, ready[1]);
    assert_int_equal(read(ready[0], &x, 1), 1);
    desk_leave(s.desk, s.now);
    for (uint64_t n = 1; n <= 12; n++) assert_int_equal(is_in_file(&s, n), 0);
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_true(WIFSIGNALED(status));
    finish(&s);
}

/* A damaged buffer is not kept for somebody to look at. */
static void a_damaged_buffer_does_not_stay(void **unused)
{
    (void)unused;
    static const char *const sets[] = {"sink.retention=1h"};
    char path[128];
    struct script s;
    start_with(&s, ", policy: shed", sets, 1);
    join(&s);
    for (uint64_t n = 1; n <= 6; n++) send(&s, 1, 0, n);
    desk_flush(s.desk, s.now);
    snprintf(path, sizeof path, "%s/run/buffer", s.dir);
    uint64_t inode = damage_inode(path);
    assert_int_equal(damage_report(path, inode, 0, "a test", "it is"), ERR_OK);
    tick_for(&s, 6);
    assert_int_equal(desk_counters(s.desk).set_aside, 1);
    snprintf(path, sizeof path, "%s/run/buffer.damaged-1", s.dir);
    assert_int_equal(access(path, F_OK), -1);
    finish(&s);
}

/* Numbers of a live stream are never used twice: neither those that a state knows, nor those that a
 * trainer may have seen since; also where the sink was killed before it had begun again. */
static void a_lost_live_buffer_is_numbered_on(void **unused)
{
    (void)unused;
    static const char *const sets[] = {"trainer.consumers=[c]"};
    char path[128];
    for (int turn = 0; turn < 3; turn++) {
        struct script s;
        start_with(&s, ", policy: shed", sets, 1);
        join(&s);
        for (uint64_t n = 1; n <= 6; n++) send(&s, 1, 0, n);
        desk_flush(s.desk, s.now);
        if (turn > 0) write_state(&s, 4, 0);
        if (turn < 2) {
            lose_buffer(&s);
        } else {
            desk_free(s.desk);
            snprintf(path, sizeof path, "%s/run/buffer/data.mdb", s.dir);
            assert_int_equal(unlink(path), 0);
            open_desk(&s);
        }
        hello(&s, 1, 0, turn > 0); /* without a state nobody knows that an epoch was given */
        uint64_t highest = turn > 0 ? 3 : 0;
        assert_int_equal(last(&s)->m.next_number, highest + desk_gauges(s.desk).capacity_slabs + 1);
        finish(&s);
    }
}

static void garbage_is_counted(void **unused)
{
    (void)unused;
    struct script s;
    uint8_t junk[500] = "SLFR";
    start(&s, "");
    join(&s);
    desk_message(s.desk, 1, junk, sizeof junk, s.now);
    struct parcel parcel = {junk, sizeof junk, NULL, NULL};
    assert_int_equal(desk_frame(s.desk, 1, &parcel, s.now), 0);
    assert_int_equal(desk_counters(s.desk).malformed, 2);
    ping(&s, 1);
    expect_state(&s, 1, 0, 1);
    finish(&s);
}

/* ---- producers that are broken, or mean harm ---- */

/* The only epochs are those that were given: else the last number is taken, and the next is 0. */
static void no_epoch_but_those_that_were_given(void **unused)
{
    (void)unused;
    static const uint32_t never[] = {2, 3, 1000, UINT32_MAX - 1, UINT32_MAX};
    struct script s;
    start(&s, "");
    join(&s);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        hello(&s, 2, 0, never[i]);
        expect_refused(&s, 2, ERR_STATE, 0);
        assert_non_null(strstr(last(&s)->text, "HINT"));
        assert_int_equal(desk_sessions(s.desk)->session[0].record.epoch, 1);
    }
    send(&s, 1, 0, 1); /* and the one that is there is not disturbed */
    desk_flush(s.desk, s.now);
    expect_state(&s, 1, 0, 2);
    hello(&s, 2, 0, 0);
    assert_int_equal(last_to(&s, 2)->epoch, 2);
    hello(&s, 2, 1, 1); /* nor one that was given to another producer */
    expect_refused(&s, 2, ERR_STATE, 0);
    finish(&s);
}

static void rows_of_another_share_are_refused(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    join(&s);
    hello(&s, 2, 1, 0);
    send(&s, 1, 0, 1);
    send_spoilt(&s, 1, 0, 2, s.rows_per_slab, OTHER_SHARE);
    send(&s, 2, 1, 1);
    desk_flush(s.desk, s.now);
    expect_refused(&s, 1, ERR_MISMATCH, 0);
    const char *why = NULL;
    for (uint64_t i = 0; i < s.count; i++)
        if (s.said[i].m.type == MESSAGE_REFUSE && s.said[i].link == 1) why = s.said[i].text;
    assert_non_null(strstr(why, "frame 2 of producer 0: row 179 is of sequence 5"));
    assert_non_null(strstr(why, "share of producer 1 of 2"));
    expect_state(&s, 2, 0, 2);
    assert_int_equal(desk_gauges(s.desk).slabs, 2);
    finish(&s);
}

/* Which rows a number holds follows from it only where all before it are whole. */
static void nothing_comes_behind_a_short_frame(void **unused)
{
    (void)unused;
    for (int how = 0; how < 3; how++) { /* in one transaction, in two, across a restart */
        struct script s;
        start(&s, "");
        join(&s);
        send(&s, 1, 0, 1);
        send_spoilt(&s, 1, 0, 2, s.rows_per_slab - 1, WHOLE);
        if (how > 0) desk_flush(s.desk, s.now);
        if (how > 1) {
            restart(&s);
            hello(&s, 1, 0, 1);
        }
        send(&s, 1, 0, 3);
        desk_flush(s.desk, s.now);
        expect_refused(&s, 1, ERR_MISMATCH, 0);
        assert_int_equal(desk_sessions(s.desk)->session[0].record.next_number, 3);
        assert_int_equal(desk_gauges(s.desk).rows, 2 * s.rows_per_slab - 1);
        hello(&s, 1, 0, 1); /* it may still end */
        end(&s, 1, 3);
        expect_state(&s, 1, MESSAGE_ENDED, 3);
        finish(&s);
    }
}

static void a_live_frame_may_be_short(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, ", policy: shed");
    join(&s);
    for (uint64_t n = 1; n <= 4; n++) send_spoilt(&s, 1, 0, n, 1 + (uint32_t)n, WHOLE);
    desk_flush(s.desk, s.now);
    expect_state(&s, 1, 0, 5);
    assert_int_equal(desk_gauges(s.desk).rows, 2 + 3 + 4 + 5);
    finish(&s);
}

/* What a live source made and lost is not made again: who takes it up goes on where it was left. And
 * what its producer took for lost was not, where it was stored. */
static void a_live_producer_that_leaves_tells_where_it_was(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, ", policy: shed");
    join(&s);
    for (uint64_t n = 1; n <= 4; n++) send_spoilt(&s, 1, 0, n, 10, WHOLE);
    desk_flush(s.desk, s.now);
    struct message m = {.type = MESSAGE_BYE, .session = s.session[0], .next_number = 3};
    m.cursor.document = 77;
    m.totals = (struct frame_totals){.captured_rows = 100, .shed_rows = 80};
    say(&s, 1, m);
    const struct store_producer *r = &desk_sessions(s.desk)->session[0].record;
    assert_int_equal(r->totals.shed_rows, 60);
    assert_int_equal(r->totals.captured_rows, r->rows + r->totals.shed_rows);
    restart(&s);
    hello(&s, 1, 0, 0);
    assert_int_equal(last(&s)->m.cursor.document, 77);
    r = &desk_sessions(s.desk)->session[0].record;
    assert_int_equal(r->past_totals.captured_rows, r->rows + r->past_totals.shed_rows);
    m = (struct message){.type = MESSAGE_BYE, .session = s.session[0], .next_number = UINT64_MAX};
    say(&s, 1, m); /* it does not say where it is */
    hello(&s, 1, 0, 0);
    assert_int_equal(last(&s)->m.cursor.document, 77);
    m.session = s.session[0];
    m.next_number = 1; /* it sheds less than was stored: of a life before */
    say(&s, 1, m);
    hello(&s, 1, 0, 0);
    m.session = s.session[0]; /* nor does the sink look farther back than its credit reached */
    ((struct sessions *)desk_sessions(s.desk))->session[0].record.next_number = UINT64_C(1) << 40;
    alarm(20);
    say(&s, 1, m);
    alarm(0);
    r = &desk_sessions(s.desk)->session[0].record;
    assert_int_equal(r->totals.shed_rows, 0);
    finish(&s);
}

static void frames_that_lie_are_refused(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    for (int what = 0; what < 4; what++) {
        join(&s);
        s.lie.stream = what == 0;
        s.lie.producer = what == 1;
        s.lie.epoch = what == 2;
        s.lie.width = what == 3;
        send(&s, 1, 0, 1);
        memset(&s.lie, 0, sizeof s.lie);
        desk_flush(s.desk, s.now);
        expect_refused(&s, 1, ERR_MISMATCH, 0);
        assert_int_equal(desk_gauges(s.desk).slabs, 0);
    }
    finish(&s);
}

/* Whatever a producer says it has counted, its totals do not shrink. */
static void totals_go_up_only(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, ", policy: shed");
    join(&s);
    struct message m = {.type = MESSAGE_PING, .session = s.session[0]};
    m.totals = (struct frame_totals){5000, 70, 8, 900};
    say(&s, 1, m);
    send(&s, 1, 0, 1); /* which was cut before the PING was said: it tells less */
    desk_flush(s.desk, s.now);
    const struct store_producer *r = &desk_sessions(s.desk)->session[0].record;
    assert_int_equal(r->totals.captured_rows, 5000);
    assert_int_equal(r->totals.shed_rows, 70);
    m.totals = (struct frame_totals){0};
    say(&s, 1, m);
    m.type = MESSAGE_END;
    m.next_number = 2;
    say(&s, 1, m);
    assert_int_equal(r->totals.captured_rows, 5000);
    assert_int_equal(r->totals.rejected_rows, 8);
    assert_int_equal(r->totals.filtered_rows, 900);
    finish(&s);
}

/* The lag is told by the newest row: none is newer than now. */
static void no_row_is_of_the_future(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    join(&s);
    s.lie.captured_ns = UINT64_MAX;
    send(&s, 1, 0, 1);
    desk_flush(s.desk, s.now);
    expect_state(&s, 1, 0, 2);
    uint64_t newest = desk_counters(s.desk).newest_captured_ns;
    assert_true(newest > 0 && newest <= process_wall_ns());
    finish(&s);
}

/* Its cursors are its own affair: they come back to it as they are, and to nobody else. */
static void a_cursor_may_go_backwards(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    join(&s);
    send(&s, 1, 0, 1);
    send(&s, 1, 0, 2);
    s.lie.back = 2;
    send(&s, 1, 0, 3);
    desk_flush(s.desk, s.now);
    expect_state(&s, 1, 0, 4);
    assert_int_equal(last_to(&s, 1)->cursor.position, 2);
    hello(&s, 2, 1, 0);
    assert_int_equal(last_to(&s, 2)->cursor.position, 0);
    assert_int_equal(last_to(&s, 2)->next_number, 1);
    finish(&s);
}

/* Numbers of messages: what is beyond all that was sent is asked for, what is below ends it where
 * it is. */
static void numbers_of_messages_move_nothing(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    join(&s);
    send(&s, 1, 0, 1);
    desk_flush(s.desk, s.now);
    say(&s, 1,
        (struct message){.type = MESSAGE_PING, .session = s.session[0], .next_number = UINT64_MAX});
    expect_state(&s, 1, MESSAGE_RESYNC, 2);
    s.now += 2 * second;
    end(&s, 1, UINT64_MAX);
    expect_state(&s, 1, MESSAGE_RESYNC, 2);
    send(&s, 1, 0, UINT64_MAX);
    assert_int_equal(desk_counters(s.desk).beyond_credit_frames, 1);
    end(&s, 1, 0);
    expect_state(&s, 1, MESSAGE_ENDED, 2);
    send(&s, 1, 0, 2); /* nothing comes behind the end */
    desk_flush(s.desk, s.now);
    assert_int_equal(desk_gauges(s.desk).slabs, 1);
    finish(&s);
}

/* Who measures describes the rows that it came with: else nobody else's would ever match. */
static void a_description_is_of_the_same_rows(void **unused)
{
    (void)unused;
    struct script s;
    start(&s, "");
    for (int what = 0; what < 3; what++) {
        float mean[2 * WIDTH] = {0};
        struct descriptor d;
        char *text;
        size_t bytes;
        hello(&s, 1, 0, 0);
        assert_true(last(&s)->m.flags & MESSAGE_MEASURE);
        describe(&d, mean);
        d.measured = 1;
        if (what == 0) d.width = d.hook[0].width = 2 * WIDTH;
        if (what == 1) d.share_count = 1;
        if (what == 2) d.model_hash = 7;
        assert_int_equal(descriptor_encode(&d, &text, &bytes), 0);
        say(&s, 1,
            (struct message){.type = MESSAGE_DESCRIBE,
                             .session = s.session[0],
                             .text = text,
                             .text_bytes = (uint32_t)bytes});
        free(text);
        expect_refused(&s, 1, ERR_MISMATCH, 0);
    }
    join(&s);
    finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_producer_measures),
        cmocka_unit_test(another_measures_for_an_empty_share),
        cmocka_unit_test(only_when_all_shares_are_empty_the_corpus_is),
        cmocka_unit_test(acks_after_commit),
        cmocka_unit_test(duplicates_and_gaps),
        cmocka_unit_test(fences),
        cmocka_unit_test(credit_is_kept_to),
        cmocka_unit_test(damaged_frames_come_again),
        cmocka_unit_test(wrong_frames_end_their_producer),
        cmocka_unit_test(broken_descriptors_name_their_message),
        cmocka_unit_test(broken_descriptors_name_their_file),
        cmocka_unit_test(another_stream_is_refused),
        cmocka_unit_test(the_end),
        cmocka_unit_test(broker_comes_and_goes),
        cmocka_unit_test(silent_producers_give_credit_back),
        cmocka_unit_test(frees_what_is_covered),
        cmocka_unit_test(frees_what_was_covered_just_now),
        cmocka_unit_test(frees_many_at_once),
        cmocka_unit_test(goes_back),
        cmocka_unit_test(room_is_told_at_once),
        cmocka_unit_test(what_is_made_again_is_counted_once),
        cmocka_unit_test(lost_buffer_is_made_again),
        cmocka_unit_test(a_new_buffer_is_shown_with_its_records),
        cmocka_unit_test(frees_what_was_covered_before_it_was_started),
        cmocka_unit_test(a_damaged_descriptor_file_is_made_again),
        cmocka_unit_test(full_disk_is_waited_out),
        cmocka_unit_test(a_full_disk_is_told_before_the_first_frame),
        cmocka_unit_test(what_a_full_disk_refused_is_forgotten),
        cmocka_unit_test(stops_when_nobody_needs_more),
        cmocka_unit_test(asks_for_checkpoints),
        cmocka_unit_test(live_replaces_the_oldest),
        cmocka_unit_test(a_lost_live_buffer_is_numbered_on),
        cmocka_unit_test(live_rows_go_by_age),
        cmocka_unit_test(what_expired_before_a_failure_is_counted),
        cmocka_unit_test(held_out_rows_of_who_is_away_go_too),
        cmocka_unit_test(the_end_of_a_live_stream_clears_it),
        cmocka_unit_test(readers_are_waited_for_at_the_end),
        cmocka_unit_test(a_damaged_buffer_does_not_stay),
        cmocka_unit_test(garbage_is_counted),
        cmocka_unit_test(no_epoch_but_those_that_were_given),
        cmocka_unit_test(rows_of_another_share_are_refused),
        cmocka_unit_test(nothing_comes_behind_a_short_frame),
        cmocka_unit_test(a_live_frame_may_be_short),
        cmocka_unit_test(a_live_producer_that_leaves_tells_where_it_was),
        cmocka_unit_test(frames_that_lie_are_refused),
        cmocka_unit_test(totals_go_up_only),
        cmocka_unit_test(no_row_is_of_the_future),
        cmocka_unit_test(a_cursor_may_go_backwards),
        cmocka_unit_test(numbers_of_messages_move_nothing),
        cmocka_unit_test(a_description_is_of_the_same_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
