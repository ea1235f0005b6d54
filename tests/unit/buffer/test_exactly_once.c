/*
 * A sink and trainers in miniature, over the real store and draw, with everything going wrong: a
 * trainer dies and takes up its last checkpoint or the one before it, the sink (a process of its
 * own) is killed in the midst of its work, the buffer is lost. At the end each row was drawn
 * `reuse` times, and each held-out row handed out once.
 */
#include "tests/unit/buffer/rig.h"

#include <signal.h>
#include <sys/wait.h>

#include "buffer/coverage.h"
#include "buffer/draw.h"
#include "proto/message.h"

enum { BATCH = 256, ONE_IN = 8, FRAMES = 260, LAST_ROWS = 11, MAX_CONSUMERS = 2 };

/* What a trainer's weights and held-out file are to a checkpoint: counters a row. */
struct counters {
    uint8_t *drawn, *held_out;
};

struct checkpoint {
    void *state; /* encoded; NULL: none */
    size_t bytes;
    struct counters counters;
};

struct trainer {
    char name[32];
    struct draw *draw;
    struct counters now;
    struct checkpoint newest, older;
    uint64_t answered;
    int done;
};

struct world {
    struct store_options options;
    struct store *store;
    struct trainer trainer[MAX_CONSUMERS];
    size_t trainers;
    uint64_t producers, rows_per_slab, rows; /* rows: of one producer */
    struct told {
        uint64_t frames_made, requests, rewinds;
    } told; /* by the sink */
    pid_t sink;
    int to_sink, from_sink;
    uint32_t reuse;
    struct rng rng;
    int free_without_checkpoint, keep_store_only; /* controls */
};

static struct counters counters_copy(const struct world *w, const struct counters *from)
{
    size_t n = w->producers * w->rows;
    struct counters c = {calloc(n, 1), calloc(n, 1)};
    if (from) memcpy(c.drawn, from->drawn, n);
    if (from) memcpy(c.held_out, from->held_out, n);
    return c;
}

static void counters_free(struct counters *c)
{
    free(c->drawn);
    free(c->held_out);
}

static struct checkpoint checkpoint_copy(const struct world *w, const struct checkpoint *from)
{
    struct checkpoint c = {malloc(from->bytes + 1), from->bytes, counters_copy(w, &from->counters)};
    if (from->bytes) memcpy(c.state, from->state, from->bytes);
    return c;
}

static void checkpoint_free(struct checkpoint *c)
{
    free(c->state);
    counters_free(&c->counters);
}

static size_t place_of(const struct world *w, const struct row_id *id)
{
    uint32_t producer = (uint32_t)(id->sequence % 16);
    uint64_t row = id->sequence / 16 * rig_sequence_rows + id->position;
    struct row_id expected = rig_id(producer, row);
    assert_memory_equal(id, &expected, sizeof expected);
    assert_true(producer < w->producers && row < w->rows);
    return producer * w->rows + row;
}

static struct world *the_world;

static int take_held_out(void *arg, const struct row_id *id, const float *values)
{
    struct trainer *t = arg;
    for (uint32_t d = 0; d < RIG_WIDTH; d++) assert_true(values[d] == rig_value(*id, d));
    t->now.held_out[place_of(the_world, id)]++;
    return ERR_OK;
}

/* ---- the sink ---- */

static void sink_open(struct world *w)
{
    w->store = rig_open(&w->options);
    char *text;
    size_t bytes;
    if (store_descriptor_get(w->store, &text, &bytes) == ERR_OK)
        free(text);
    else
        assert_ok(store_descriptor_put(w->store, "{}", 2));
}

static int put_frame(struct world *w, uint32_t producer, struct store_producer *record)
{
    uint64_t number = record->next_number;
    int last = number == FRAMES;
    int result = rig_put(w->store, &w->options, producer, number, last ? LAST_ROWS : 0);
    if (result != ERR_OK && result != ERR_EXISTS) return result;
    uint64_t next_row = last ? w->rows : number * w->rows_per_slab;
    w->told.frames_made += result == ERR_OK;
    record->next_number = number + 1;
    record->cursor = rig_cursor(producer, next_row);
    record->epoch = 1;
    record->ended = last;
    return ERR_OK;
}

/* One pass of the sink: free what is covered, set producers back, take frames, ask for
 * checkpoints. */
static void sink_step(struct world *w)
{
    struct consumer_state states[MAX_CONSUMERS];
    const struct consumer_state *pointers[MAX_CONSUMERS] = {0};
    struct consumer_progress progress[MAX_CONSUMERS] = {0};
    uint64_t answered = UINT64_MAX;
    for (size_t i = 0; i < w->trainers; i++) {
        if (consumer_read(rig_dir, w->trainer[i].name, &states[i]) == ERR_OK)
            pointers[i] = &states[i];
        consumer_progress_read(rig_dir, w->trainer[i].name, &progress[i]);
        uint64_t own = pointers[i] ? pointers[i]->checkpoint_request : 0;
        if (!(pointers[i] && pointers[i]->finished) && own < answered) answered = own;
    }
    struct coverage c = {pointers, w->trainers};
    struct store_state state = *store_state(w->store);
    uint64_t *ids = malloc((store_count(w->store) + 1) * sizeof *ids);
    size_t count = coverage_freeable(&c, w->store, ids, store_count(w->store));
    if (w->free_without_checkpoint && store_count(w->store) > 40) {
        count = 0; /* the control: free whatever is oldest */
        for (; count < 10; count++) ids[count] = store_slab(w->store, count).id;
    }
    assert_ok(store_begin(w->store));
    assert_ok(store_free(w->store, ids, count));
    free(ids);
    int room = 1, ended = 1;
    for (uint32_t p = 0; p < w->producers; p++) {
        struct store_producer record = {0};
        store_producer_get(w->store, p, &record);
        if (!w->keep_store_only) w->told.rewinds += coverage_rewind(&c, w->store, p, &record) != 0;
        if (record.next_number == 0) record.next_number = 1;
        uint64_t frames = rng_below(&w->rng, 8);
        while (room && frames-- > 0 && record.next_number <= FRAMES) {
            if (coverage_finished(&c, p, record.next_number)) {
                uint64_t n = record.next_number++;
                record.cursor = rig_cursor(p, n == FRAMES ? w->rows : n * w->rows_per_slab);
                record.ended = n == FRAMES;
                continue;
            }
            int result = put_frame(w, p, &record);
            if (result == ERR_NOSPC || result == ERR_AGAIN)
                room = 0;
            else
                assert_ok(result);
        }
        if (record.next_number > FRAMES) record.ended = 1;
        ended &= record.ended != 0;
        assert_ok(store_producer_put(w->store, p, &record));
    }
    uint64_t uncovered = coverage_uncovered(&c, w->store, progress);
    if (uncovered > store_capacity(w->store) / 8 && answered >= state.checkpoint_request &&
        answered != UINT64_MAX)
        state.checkpoint_request++, w->told.requests++;
    state.producers = (uint32_t)w->producers;
    state.more_is_coming = room && !ended;
    state.ended = (uint32_t)ended;
    assert_ok(store_state_put(w->store, &state));
    assert_ok(store_commit(w->store));
    for (size_t i = 0; i < w->trainers; i++)
        if (pointers[i]) consumer_state_free(&states[i]);
}

/* The sink's process: a step for each byte that it is sent. */
static void sink_life(struct world *w, int in, int out)
{
    char command;
    sink_open(w);
    while (read(in, &command, 1) == 1) {
        rng_seed(&w->rng, (uint64_t)(unsigned char)command + w->told.frames_made * 256);
        sink_step(w);
        struct told told = w->told;
        if (write(out, &told, sizeof told) != sizeof told) break;
    }
    store_close(w->store);
    _exit(0);
}

static void sink_start(struct world *w)
{
    int to[2], from[2];
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    w->sink = fork();
    assert_true(w->sink >= 0);
    if (w->sink == 0) {
        close(to[1]);
        close(from[0]);
        sink_life(w, to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    w->to_sink = to[1];
    w->from_sink = from[0];
}

static void sink_stop(struct world *w, int signal_number)
{
    if (w->sink == 0) return;
    if (signal_number) kill(w->sink, signal_number);
    close(w->to_sink);
    close(w->from_sink);
    int status;
    waitpid(w->sink, &status, 0);
    w->sink = 0;
    assert_true(signal_number ? WIFSIGNALED(status)
                              : WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void sink_send(struct world *w)
{
    char command = (char)rng_below(&w->rng, 256);
    assert_int_equal(write(w->to_sink, &command, 1), 1);
}

static void sink_run(struct world *w)
{
    sink_send(w);
    assert_int_equal(read(w->from_sink, &w->told, sizeof w->told), sizeof w->told);
}

/* Kill it somewhere in a step. */
static void sink_kill(struct world *w)
{
    sink_send(w);
    usleep((useconds_t)rng_below(&w->rng, 1500));
    sink_stop(w, SIGKILL);
    sink_start(w);
}

/* ---- the trainer ---- */

static void trainer_start(struct world *w, struct trainer *t)
{
    struct draw_options o = {
        .dir = rig_dir,
        .stream = "rig",
        .consumer = t->name,
        .reuse = w->reuse,
        .batch_rows = BATCH,
        .seed = 3,
        .held_out_one_in = ONE_IN,
        .shuffle = 1,
        .held_out = take_held_out,
        .arg = t,
    };
    struct consumer_state state;
    counters_free(&t->now);
    t->now = counters_copy(w, t->newest.state ? &t->newest.counters : NULL);
    t->answered = 0;
    if (t->newest.state) {
        assert_ok(consumer_state_decode(t->newest.state, t->newest.bytes, &state));
        assert_ok(consumer_write(rig_dir, &state));
        t->answered = state.checkpoint_request;
    }
    int result = draw_open(&o, &t->draw);
    if (result == ERR_NOTFOUND)
        t->draw = NULL;
    else
        assert_ok(result);
    if (t->newest.state && t->draw) assert_ok(draw_resume(t->draw, &state));
    if (t->newest.state) consumer_state_free(&state);
}

static void trainer_checkpoint(struct world *w, struct trainer *t)
{
    const struct consumer_state *state = draw_state(t->draw);
    assert_non_null(state);
    checkpoint_free(&t->older);
    t->older = t->newest;
    assert_ok(consumer_state_encode(state, &t->newest.state, &t->newest.bytes));
    t->newest.counters = counters_copy(w, &t->now);
    assert_ok(consumer_write(rig_dir, state));
    t->answered = state->checkpoint_request;
}

static void trainer_die(struct world *w, struct trainer *t)
{
    draw_close(t->draw);
    t->draw = NULL;
    if (t->older.state && rng_below(&w->rng, 3) == 0) { /* the newest checkpoint is lost */
        checkpoint_free(&t->newest);
        t->newest = checkpoint_copy(w, &t->older);
    }
}

static void trainer_step(struct world *w, struct trainer *t)
{
    static float values[BATCH * RIG_WIDTH];
    static struct row_id ids[BATCH];
    if (!t->draw) trainer_start(w, t);
    if (!t->draw) return;
    struct draw_batch b = {.values = values, .ids = ids, .rows = BATCH};
    int result = draw_next(t->draw, &b);
    if (result == ERR_NOTFOUND) {
        trainer_checkpoint(w, t);
        assert_int_equal(draw_state(t->draw)->finished, 1);
        t->done = 1;
        return;
    }
    if (result == ERR_OK) {
        for (size_t i = 0; i < b.rows; i++) {
            t->now.drawn[place_of(w, &ids[i])]++;
            for (uint32_t d = 0; d < RIG_WIDTH; d++)
                assert_true(values[i * RIG_WIDTH + d] == rig_value(ids[i], d));
        }
    } else if (result != ERR_AGAIN) {
        fail_msg("draw_next: %s: %s", err_str(result), err_text());
    }
    if (b.checkpoint_request > t->answered || rng_below(&w->rng, 40) == 0) trainer_checkpoint(w, t);
    if (draw_gauges(t->draw).missing_slabs > 0 && t->newest.state) {
        struct consumer_state state;
        assert_ok(consumer_state_decode(t->newest.state, t->newest.bytes, &state));
        assert_ok(consumer_write(rig_dir, &state));
        consumer_state_free(&state);
    }
}

/* ---- the storm ---- */

static uint64_t wrong_rows(const struct world *w, const struct trainer *t)
{
    uint64_t wrong = 0;
    for (size_t i = 0; i < w->producers * w->rows; i++) {
        uint32_t producer = (uint32_t)(i / w->rows);
        int held = rows_held_out(rig_id(producer, i % w->rows).sequence, ONE_IN);
        wrong += t->now.drawn[i] != (held ? 0 : w->reuse) || t->now.held_out[i] != held;
    }
    return wrong;
}

static struct world world_of(uint64_t seed, uint64_t producers, size_t trainers, uint32_t reuse)
{
    struct world w = {.options = rig_options(), .producers = producers, .trainers = trainers};
    w.options.size_bytes = 1 << 20;
    w.options.slab_bytes = 4096 - 16;
    w.rows_per_slab = store_rows_per_slab(w.options.slab_bytes, RIG_WIDTH, DTYPE_F32);
    w.rows = (FRAMES - 1) * w.rows_per_slab + LAST_ROWS;
    w.reuse = reuse;
    rng_seed(&w.rng, seed);
    for (size_t i = 0; i < trainers; i++) {
        snprintf(w.trainer[i].name, sizeof w.trainer[i].name, "trainer%zu", i);
        w.trainer[i].now = counters_copy(&w, NULL);
    }
    return w;
}

static void world_free(struct world *w)
{
    for (size_t i = 0; i < w->trainers; i++) {
        draw_close(w->trainer[i].draw);
        counters_free(&w->trainer[i].now);
        checkpoint_free(&w->trainer[i].newest);
        checkpoint_free(&w->trainer[i].older);
    }
    sink_stop(w, 0);
}

static int world_done(const struct world *w)
{
    for (size_t i = 0; i < w->trainers; i++)
        if (!w->trainer[i].done) return 0;
    return 1;
}

/* loses: and the buffer is lost at times, which mends whatever else went wrong before. */
static void run(struct world *w, int kills, int loses)
{
    the_world = w;
    sink_start(w);
    uint64_t steps = 0;
    while (!world_done(w)) {
        if (++steps > 20000) fail_msg("it hangs");
        if (rng_below(&w->rng, 2)) sink_run(w);
        for (size_t i = 0; i < w->trainers; i++) {
            struct trainer *t = &w->trainer[i];
            int late = i == 1 && steps < 300; /* the second one starts late */
            if (!late && !t->done && rng_below(&w->rng, i + 1) == 0) trainer_step(w, t);
            if (kills && !t->done && t->draw && rng_below(&w->rng, 60) == 0) trainer_die(w, t);
        }
        if (kills && rng_below(&w->rng, 60) == 0) sink_kill(w);
        if (loses && rng_below(&w->rng, 300) == 0) { /* the buffer cannot be trusted any more */
            char path[256];
            sink_stop(w, SIGKILL);
            assert_ok(store_set_aside(rig_dir, path, sizeof path));
            sink_start(w);
        }
    }
}

static void storm(uint64_t producers, size_t trainers, uint32_t reuse)
{
    uint64_t rewinds = 0;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        rig_make(NULL);
        struct world w = world_of(seed, producers, trainers, reuse);
        run(&w, 1, seed % 2);
        for (size_t i = 0; i < trainers; i++)
            if (wrong_rows(&w, &w.trainer[i]) != 0)
                fail_msg("seed %llu: %llu rows of trainer %zu are wrong", (unsigned long long)seed,
                         (unsigned long long)wrong_rows(&w, &w.trainer[i]), i);
        assert_true(w.told.requests > 0);
        rewinds += w.told.rewinds;
        world_free(&w);
        rig_remove(NULL);
    }
    assert_true(rewinds > 0); /* it was a storm */
}

static void one_trainer_one_producer(void **state)
{
    (void)state;
    storm(1, 1, 1);
}

static void reuse_and_two_producers(void **state)
{
    (void)state;
    storm(2, 1, 3);
}

static void two_trainers_one_late_two_producers(void **state)
{
    (void)state;
    storm(2, 2, 2);
}

static void without_kills_every_frame_is_made_once(void **state)
{
    (void)state;
    struct world w = world_of(1, 2, 2, 2);
    run(&w, 0, 0);
    assert_int_equal(wrong_rows(&w, &w.trainer[0]), 0);
    assert_int_equal(w.told.frames_made, 2 * FRAMES);
    assert_int_equal(w.told.rewinds, 0);
    world_free(&w);
}

/* The control: slabs that are freed before a checkpoint covers them are missed. */
static void freeing_without_checkpoints_loses_rows(void **state)
{
    (void)state;
    struct world w = world_of(1, 1, 1, 2);
    w.free_without_checkpoint = w.keep_store_only = 1;
    the_world = &w;
    sink_start(&w);
    for (int i = 0; i < 2000; i++) {
        sink_run(&w);
        trainer_step(&w, &w.trainer[0]);
    }
    assert_false(w.trainer[0].done);
    assert_true(draw_gauges(w.trainer[0].draw).missing_slabs > 0);
    assert_true(wrong_rows(&w, &w.trainer[0]) > 0);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_trainer_one_producer),
        cmocka_unit_test(reuse_and_two_producers),
        cmocka_unit_test(two_trainers_one_late_two_producers),
        cmocka_unit_test_setup_teardown(without_kills_every_frame_is_made_once, rig_make,
                                        rig_remove),
        cmocka_unit_test_setup_teardown(freeing_without_checkpoints_loses_rows, rig_make,
                                        rig_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
