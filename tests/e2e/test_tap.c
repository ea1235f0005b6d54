/*
 * The tap in programs that know nothing of it (tap_host.c): whose rows it captures, that they are the
 * engine's own for the same tokens, and that the program goes on whatever happens.
 */
#include "base/err.h"
#include "base/model_file.h"
#include "engine/engine.h"
#include "engine/llama_runner.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/tap_host.h"
#include "tests/tiny_models.h"
#include "tests/unit/client/ring_reader.h"

#include <fcntl.h>
#include <stdlib.h>

enum { SECONDS = 60, LAYERS = 5, ROWS_MOST = 2000, TEXT_TOKENS = 300 };
enum { WIDTH_MOST = 640 }; /* values of a row, all hooks together */

static char model[HARNESS_PATH_BYTES + 32], second[HARNESS_PATH_BYTES + 32];
static char folder[HARNESS_PATH_BYTES + 32];
static char preload[HARNESS_PATH_BYTES + 32], audit[HARNESS_PATH_BYTES + 32];

static void write_model(const char *path, uint64_t seed)
{
    struct tiny tiny = {.architecture = "llama", .layers = LAYERS, .seed = seed};
    tiny_write(path, &tiny);
}

static const char *real_model(void)
{
    static char path[HARNESS_PATH_BYTES];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0])
        snprintf(path, sizeof path, "%s/sluice/models/smollm2.gguf", cache);
    else
        snprintf(path, sizeof path, "%s/.cache/sluice/models/smollm2.gguf", home ? home : "");
    return path;
}

static int set_up(void **state)
{
    char path[HARNESS_PATH_BYTES];
    if (run_set_up(state) != 0) return -1;
    struct run *run = *state;
    snprintf(model, sizeof model, "%s/tiny.gguf", run->dir);
    snprintf(second, sizeof second, "%s/second.gguf", run->dir);
    snprintf(folder, sizeof folder, "%s/rings", run->dir);
    run_program("libsluice-tap.so", path);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", path);
    run_program("libsluice-audit.so", path);
    snprintf(audit, sizeof audit, "LD_AUDIT=%s", path);
    write_model(model, 1);
    write_model(second, 2);
    setenv("SLUICE_TAP_STREAM", "live", 1);
    setenv("SLUICE_TAP_FOLDER", folder, 1);
    setenv("SLUICE_TAP_RING_BYTES", "4000000", 1);
    setenv("SLUICE_TAP_DTYPE", "f32", 1);
    setenv("SLUICE_TAP_HOOKS", "resid_post.2", 1);
    unsetenv("SLUICE_TAP_MODEL");
    unsetenv("SLUICE_TAP_ON");
    unsetenv("TAP_HOST_APART");
    return 0;
}

/* Run the host with the tap in front of it. */
#define HOST(run, ...)                                                                             \
    run_command(run, SECONDS, "/usr/bin/env", preload, host_path(), model, __VA_ARGS__, NULL)
#define HOST_LATE(run, ...)                                                                        \
    run_command(run, SECONDS, "/usr/bin/env", preload, audit, late_path(), model, __VA_ARGS__, NULL)

static const char *host_path(void)
{
    static char path[HARNESS_PATH_BYTES];
    run_program("tests/e2e/tap_host", path);
    return path;
}

static const char *late_path(void)
{
    static char path[HARNESS_PATH_BYTES], library[HARNESS_PATH_BYTES];
    run_program("lib/libllama.so.0", library);
    setenv("TAP_HOST_LIBRARY", library, 0);
    run_program("tests/e2e/tap_host_late", path);
    return path;
}

static void must(struct run *run, int code)
{
    if (code != 0) fail_msg("exit code %d: %s%s", code, run->out, run->err);
}

/* ---- what lies in the ring ---- */

struct captured {
    struct row_id id;
    uint32_t flags;
    float values[WIDTH_MOST];
};
static struct captured row[ROWS_MOST];
static uint32_t rows, width;
static uint64_t counted[RING_COUNTS];

/* All of the newest ring. */
static void read_ring(void)
{
    struct ring_view view;
    struct ring_record *r;
    rows = 0;
    if (view_open(folder, &view) != 0) fail_msg("there is no ring in %s", folder);
    width = view.ring->facts.width;
    assert_string_equal(view.ring->facts.model_file, model);
    while ((r = view_next(&view))) {
        if (!(r->flags & RING_ROW_NONE)) {
            assert_true(rows < ROWS_MOST);
            row[rows].id = r->id;
            row[rows].flags = r->flags;
            memcpy(row[rows++].values, r + 1, width * sizeof(float));
        }
        view_done(&view);
    }
    for (int i = 0; i < RING_COUNTS; i++) counted[i] = atomic_load(&view.ring->host.count[i]);
    assert_int_equal(counted[RING_OFFERED], counted[RING_WRITTEN] + counted[RING_SHED] +
                                                counted[RING_LIMITED] + counted[RING_ABANDONED]);
    assert_int_equal(counted[RING_WRITTEN], rows);
    view_close(&view);
}

static void there_is_no_ring(void)
{
    struct ring_view view;
    assert_int_not_equal(view_open(folder, &view), 0);
}

/* (sequence, position) names one row. */
static void each_is_named_once(void)
{
    for (uint32_t i = 0; i < rows; i++)
        for (uint32_t k = 0; k < i; k++)
            if (row[i].id.sequence == row[k].id.sequence &&
                row[i].id.position == row[k].id.position)
                fail_msg("sequence %llu has position %u twice",
                         (unsigned long long)row[i].id.sequence, row[i].id.position);
}

/* Rows of a sequence: positions from .. to - 1 of a text. */
static void sequence_is(uint64_t sequence, int text, uint32_t from, uint32_t to)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < rows; i++) {
        if (row[i].id.sequence != sequence) continue;
        found++;
        assert_in_range(row[i].id.position, from, to - 1);
        assert_int_equal(row[i].id.token, tap_host_token(text, (int)row[i].id.position));
        assert_int_equal((row[i].flags & RING_ROW_FIRST) != 0, row[i].id.position == 0);
    }
    assert_int_equal(found, to - from);
}

/* ---- what the engine makes of the same tokens ---- */

static float distance(const float *a, const float *b)
{
    float sum = 0;
    for (uint32_t i = 0; i < width; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrtf(sum);
}

static float norm(const float *a)
{
    static const float zero[WIDTH_MOST];
    return distance(a, zero);
}

/* Each row of the sequence is near its own reference, and no other is nearer. Returns the largest distance,
 * as a part of the row's norm. */
static float compare(uint64_t sequence, const float *reference, uint32_t count, float bound)
{
    float worst = 0;
    for (uint32_t i = 0; i < rows; i++) {
        if (row[i].id.sequence != sequence) continue;
        const float *own = reference + (size_t)row[i].id.position * width;
        float off = distance(row[i].values, own) / norm(own);
        if (off > worst) worst = off;
        if (off > bound)
            fail_msg("row %u is %g of its norm away from its own", row[i].id.position, (double)off);
        for (uint32_t k = 0; k < count; k++)
            if (k != row[i].id.position &&
                distance(row[i].values, reference + (size_t)k * width) <= off * norm(own))
                fail_msg("row %u is nearer to row %u", row[i].id.position, k);
    }
    return worst;
}

/* The rows of a sequence are those of the engine for this text. */
static float away_from_the_engine(uint64_t sequence, int text, const char *const *hooks,
                                  uint32_t count, float bound)
{
    struct llama_hooks wanted;
    struct llama_runner *runner;
    struct llama_runner_options options = {
        .path = model, .context_tokens = TEXT_TOKENS, .threads = 1, .plain_weights = 1};
    int32_t tokens[TEXT_TOKENS];
    static float values[TEXT_TOKENS * WIDTH_MOST];
    assert_int_equal(llama_hooks_parse(hooks, count, &wanted), ERR_OK);
    if (llama_runner_open(&options, &wanted, &runner) != ERR_OK) fail_msg("%s", err_text());
    for (int i = 0; i < TEXT_TOKENS; i++) tokens[i] = tap_host_token(text, i);
    assert_int_equal(llama_runner_run(runner, tokens, TEXT_TOKENS, values), ERR_OK);
    llama_runner_close(runner);
    return compare(sequence, values, TEXT_TOKENS, bound);
}

/* llama.cpp's attention has 16 bits inside, so a row depends a little on what lies beside it. */
static void equals_the_engine(uint64_t sequence, int text, const char *const *hooks, uint32_t count)
{
    away_from_the_engine(sequence, text, hooks, count, 5e-3f);
}

static const char *const one_hook[] = {"resid_post.2"};

/* ---- whose rows ---- */

static void interleaved_requests_are_told_apart(void **state)
{
    struct run *run = *state;
    must(run, HOST(run, "decode:0/0-100,1/0-40,2/0-150", "decode:0/100-101,1/40-41,2/150-151",
                   "decode:1/41-42,2/151-152"));
    read_ring();
    each_is_named_once();
    sequence_is(1, 0, 0, 101);
    sequence_is(2, 1, 0, 42);
    sequence_is(3, 2, 0, 152);
    for (int text = 0; text < 3; text++) equals_the_engine((uint64_t)text + 1, text, one_hook, 1);
    assert_int_equal(rows, 101 + 42 + 152);
    assert_int_equal(counted[RING_AMBIGUOUS] + counted[RING_REUSED], 0);
    harness_has_not(run->err, "sluice:");
}

/* Its Q4_1 kernels quantize activations, in parts of what a pass computes at once. */
static void rows_of_a_real_model(void **state)
{
    static const char *const hooks[] = {"resid_post.15"};
    float worst = 0;
    struct run *run = *state;
    snprintf(model, sizeof model, "%s", real_model());
    setenv("SLUICE_TAP_HOOKS", hooks[0], 1);
    must(run, HOST(run, "decode:0/0-100,1/0-40,2/0-60", "decode:0/100-101,1/40-41,2/60-61",
                   "decode:1/41-42,2/61-62", "remove:1:20:-1", "decode:1/20-30"));
    read_ring();
    each_is_named_once();
    assert_int_equal(width, 576);
    sequence_is(1, 0, 0, 101);
    sequence_is(4, 1, 20, 30);
    for (uint64_t sequence = 1; sequence <= 4; sequence++) {
        int text = sequence == 4 ? 1 : (int)sequence - 1;
        float off = away_from_the_engine(sequence, text, hooks, 1, 0.1f);
        if (off > worst) worst = off;
    }
    print_message("%u rows, at most %.1e of a row's norm away from the engine's\n", rows,
                  (double)worst);
}

/* Streams of their own in the cache: llama.cpp computes another order than was submitted. */
static void rows_that_are_reordered_are_told_apart(void **state)
{
    struct run *run = *state;
    setenv("TAP_HOST_APART", "1", 1);
    must(run, HOST(run, "decode:0/0-100,1/0-40,2/0-90", "decode:0/100-101,1/40-41,2/90-91"));
    read_ring();
    each_is_named_once();
    for (int text = 0; text < 3; text++) equals_the_engine((uint64_t)text + 1, text, one_hook, 1);
    assert_int_equal(rows, 101 + 41 + 91);
}

static void the_newer_kind_of_batch(void **state)
{
    struct run *run = *state;
    must(run,
         HOST(run, "large", "decode:0/0-100,1/0-40", "decode:0/100-102,1/40-41", "decode:2+3/0-5"));
    read_ring();
    sequence_is(1, 0, 0, 102);
    sequence_is(2, 1, 0, 41);
    equals_the_engine(2, 1, one_hook, 1);
    assert_int_equal(rows, 143);
    assert_int_equal(counted[RING_AMBIGUOUS], 5);
}

static void positions_that_llama_counts(void **state)
{
    struct run *run = *state;
    must(run, HOST(run, "plain:20", "plain:1", "plain:3"));
    read_ring();
    sequence_is(1, 0, 0, 24);
    equals_the_engine(1, 0, one_hook, 1);
}

static void a_program_that_looks_names_up(void **state)
{
    struct run *run = *state;
    must(run, HOST_LATE(run, "decode:0/0-50,1/0-40", "remove:0:45:-1", "decode:0/45-50", "again",
                        "large", "decode:3/0-10"));
    harness_has_not(run->out, "environment");
    read_ring();
    each_is_named_once();
    sequence_is(1, 0, 0, 50);
    sequence_is(2, 1, 0, 40);
    sequence_is(3, 0, 45, 50);
    sequence_is(4, 3, 0, 10);
    equals_the_engine(1, 0, one_hook, 1);
}

/* Without the audit library there is nothing to be seen, and nothing happens. */
static void a_program_that_looks_names_up_without_audit(void **state)
{
    struct run *run = *state;
    must(run, run_command(run, SECONDS, "/usr/bin/env", preload, late_path(), model, "decode:0/0-5",
                          NULL));
    there_is_no_ring();
}

/* As in a wheel of Python's, where libllama has a name of the wheel's own and is loaded for one part alone:
 * the part's calls come to the wrappers, and nothing else finds the library. */
static void a_part_of_a_program_that_has_its_own_library(void **state)
{
    char library[HARNESS_PATH_BYTES], renamed[HARNESS_PATH_BYTES + 64], path[HARNESS_PATH_BYTES];
    char search[2 * HARNESS_PATH_BYTES];
    struct run *run = *state;
    run_program("lib/libllama.so.0", library);
    snprintf(renamed, sizeof renamed, "%s/libllama-1a2b3c.so.0", run->dir);
    must(run, run_command(run, SECONDS, "/bin/cp", library, renamed, NULL));
    setenv("TAP_HOST_LIBRARY", renamed, 1);
    run_program("tests/e2e/tap_host_part.so", path);
    setenv("TAP_HOST_PART", path, 1);
    *strrchr(library, '/') = '\0';
    snprintf(search, sizeof search, "LD_LIBRARY_PATH=%s", library); /* for its ggml */
    run_program("tests/e2e/tap_host_loads", path);
    int code = run_command(run, SECONDS, "/usr/bin/env", preload, search, path, model,
                           "decode:0/0-20", NULL);
    unsetenv("TAP_HOST_LIBRARY");
    must(run, code);
    read_ring();
    sequence_is(1, 0, 0, 20);
    equals_the_engine(1, 0, one_hook, 1);
}

static void hooks_side_by_side_and_parts_of_a_layer(void **state)
{
    static const char *const hooks[] = {"resid_post.2", "attn_out.1", "ffn_out-3", "resid_mid.2"};
    struct run *run = *state;
    setenv("SLUICE_TAP_HOOKS", "resid_post.2,attn_out.1,ffn_out-3,resid_mid.2", 1);
    /* the first pass shows where they are */
    must(run, HOST(run, "decode:7/0-3", "decode:0/0-100,1/0-40", "decode:0/100-101,1/40-41"));
    harness_has_not(run->err, "sluice:");
    read_ring();
    assert_int_equal(width, 4 * TINY_WIDTH);
    assert_int_equal(rows, 142);
    sequence_is(1, 0, 0, 101);
    equals_the_engine(1, 0, hooks, 4);
    equals_the_engine(2, 1, hooks, 4);
}

/* ---- what changes the cache ---- */

static void what_was_computed_for_another_is_reused_and_counted(void **state)
{
    struct run *run = *state;
    must(run, HOST(run, "text:1:110", "decode:0/0-30", "copy:0:1", "remove:1:10:-1",
                   "decode:1/10-60", "decode:0/30-40,1/60-61"));
    read_ring();
    each_is_named_once();
    sequence_is(1, 0, 0, 40);
    sequence_is(2, 110, 10, 61);
    equals_the_engine(2, 110, one_hook, 1);
    assert_int_equal(counted[RING_REUSED], 10);
}

/* A prompt like the one before: its beginning is still in the slot. */
static void a_prompt_over_a_cached_prefix(void **state)
{
    struct run *run = *state;
    must(run, HOST(run, "decode:0/0-60", "remove:0:20:-1", "text:0:120", "decode:0/20-50"));
    read_ring();
    each_is_named_once();
    sequence_is(1, 0, 0, 60);
    sequence_is(2, 120, 20, 50);
    equals_the_engine(2, 120, one_hook, 1);
    assert_int_equal(counted[RING_REUSED], 20);
}

static void each_change_begins_a_sequence(void **state)
{
    struct run *run = *state;
    must(run, HOST(run, "decode:0/0-20,1/0-20",                              /* 1, 2 */
                   "remove:0:5:10", "shift:0:10:-1:-5", "decode:0/15-25",    /* 3 */
                   "save:0", "decode:0/25-30", "load:0:0", "decode:0/25-35", /* 3, 4 */
                   "keep:0", "decode:0/35-36,1/0-1",                         /* 4, 5 */
                   "load:0:1", "decode:1/25-26",                             /* 6 */
                   "divide:0:0:-1:2", "decode:0/18-19",                      /* 7 */
                   "clear", "decode:0/0-1,1/0-1", "again", "decode:0/0-5"));
    harness_has_not(run->out, "decode -");
    read_ring();
    each_is_named_once();
    sequence_is(1, 0, 0, 20);
    sequence_is(2, 1, 0, 20);
    sequence_is(3, 0, 15, 30);
    sequence_is(4, 0, 25, 36);
    sequence_is(5, 1, 0, 1);
    sequence_is(6, 1, 25, 26);
    sequence_is(7, 0, 18, 19);
    sequence_is(8, 0, 0, 1);
    sequence_is(9, 1, 0, 1);
    sequence_is(10, 0, 0, 5);
}

/* ---- rows that are nobody's ---- */

static void what_two_could_claim_is_left_out(void **state)
{
    struct run *run = *state;
    must(run, HOST(run, "text:1:110", "decode:0/0-20,1/0-20", "decode:2+3/0-7"));
    read_ring();
    for (uint32_t i = 0; i < rows; i++) assert_true(row[i].id.position >= 10);
    for (int position = 10; position < 20; position++)
        assert_int_not_equal(tap_host_token(0, position), tap_host_token(110, position));
    assert_int_equal(rows, 20);
    equals_the_engine(1, 0, one_hook, 1);
    equals_the_engine(2, 110, one_hook, 1);
    assert_int_equal(counted[RING_AMBIGUOUS], 20 + 7);
}

static void embeddings_are_no_tokens(void **state)
{
    struct run *run = *state;
    must(run, HOST(run, "embed:6", "decode:0/6-10"));
    harness_has(run->out, "decode 0\ndecode 0\n");
    read_ring();
    assert_int_equal(rows, 4);
    assert_int_equal(counted[RING_NO_TOKEN], 6);
}

/* A LoRA of rank 2 for the first layer's queries. */
static void make_lora(const char *path)
{
    struct tiny tiny = {.architecture = "llama"};
    struct ggml_init_params memory = {.mem_size = 1 << 20};
    struct tiny_writer w = {&tiny, gguf_init_empty(), ggml_init(memory), {{0}}};
    rng_seed(&w.rng, 7);
    gguf_set_val_str(w.gguf, "general.type", "adapter");
    gguf_set_val_str(w.gguf, "general.architecture", tiny.architecture);
    gguf_set_val_str(w.gguf, "adapter.type", "lora");
    gguf_set_val_f32(w.gguf, "adapter.lora.alpha", 2);
    tiny_matrix(&w, 0, "attn_q.weight.lora_a", TINY_WIDTH, 2);
    tiny_matrix(&w, 0, "attn_q.weight.lora_b", 2, TINY_WIDTH);
    assert_true(gguf_write_to_file(w.gguf, path, false));
    gguf_free(w.gguf);
    ggml_free(w.ggml);
}

/* The rows before an adapter are the model's own, and so are those after it that see none of its. */
static void left_out_between(struct run *run, const char *on, const char *off)
{
    must(run, HOST(run, "adapters:0", "decode:0/0-10", on, "decode:0/10-20,1/0-10", off,
                   "decode:0/20-30,2/0-10", "copy:1:3", "decode:3/10-20", "remove:0:10:-1",
                   "decode:0/10-20"));
    read_ring();
    each_is_named_once();
    sequence_is(1, 0, 0, 10);
    sequence_is(2, 2, 0, 10);
    sequence_is(3, 0, 10, 20);
    equals_the_engine(3, 0, one_hook, 1);
    assert_int_equal(rows, 30);
}

static void rows_under_a_lora_are_left_out(void **state)
{
    struct run *run = *state;
    char path[HARNESS_PATH_BYTES + 16], word[HARNESS_PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/lora.gguf", run->dir);
    make_lora(path);
    snprintf(word, sizeof word, "lora:%s", path);
    left_out_between(run, word, "adapters:0");
}

static void rows_under_an_adapter_are_left_out(void **state)
{
    left_out_between(*state, "vector:1", "vector:0");
}

/* Between two hooks. */
static void a_pass_that_is_stopped_gives_no_row(void **state)
{
    struct run *run = *state;
    setenv("SLUICE_TAP_HOOKS", "resid_post.0,resid_post.2", 1);
    must(run, HOST(run, "own", "decode:0/0-10", "stop", "decode:0/10-20", "go", "decode:0/20-30"));
    read_ring();
    each_is_named_once();
    for (uint32_t i = 0; i < rows; i++)
        assert_false(row[i].id.position >= 10 && row[i].id.position < 20);
    assert_int_equal(rows, 20);
    assert_int_equal(counted[RING_ABANDONED], 10);
}

/* As a program does whose callback throws. What was taken for it is given up, and the next pass goes on. */
static void a_pass_that_is_left_gives_its_places_up(void **state)
{
    struct run *run = *state;
    setenv("SLUICE_TAP_HOOKS", "resid_post.0,resid_post.2", 1);
    must(run, HOST(run, "own", "decode:0/0-10", "leave:0/10-20", "clear", "decode:1/0-10"));
    read_ring();
    each_is_named_once();
    assert_int_equal(rows, 20);
    assert_int_equal(counted[RING_ABANDONED], 10);
    assert_int_equal(counted[RING_OFFERED], 30);
}

/* The cache has 1,024 tokens. Nothing of the batch was computed, but of its slots nothing is sure. */
static void a_pass_that_fails_begins_a_sequence(void **state)
{
    struct run *run = *state;
    must(run, HOST(run, "decode:0/0-500", "decode:1/0-500", "decode:0/500-530", "remove:1:-1:-1",
                   "decode:0/500-505"));
    harness_has(run->out, "decode 1\n");
    read_ring();
    each_is_named_once();
    sequence_is(1, 0, 0, 500);
    sequence_is(2, 1, 0, 500);
    sequence_is(3, 0, 500, 505);
    assert_int_equal(rows, 1005);
}

/* ---- the program ---- */

static void its_own_callback_sees_what_it_saw(void **state)
{
    char before[HARNESS_TEXT_BYTES];
    struct run *run = *state;
    must(run, run_command(run, SECONDS, host_path(), model, "own", "decode:0/0-20", NULL));
    const char *line = strstr(run->out, "asked");
    assert_non_null(line);
    snprintf(before, sizeof before, "%s", line);
    harness_has_not(before, "saw 0");
    must(run, HOST(run, "own", "decode:0/0-20"));
    harness_has(run->out, "asked");
    *strchr(before, '\n') = '\0';
    harness_has(run->out, before);
    read_ring();
    assert_int_equal(rows, 20);
}

static void other_contexts_are_left_alone(void **state)
{
    char word[HARNESS_PATH_BYTES + 64];
    struct run *run = *state;
    snprintf(word, sizeof word, "other:%s", second);
    must(run, HOST(run, "embedding", "decode:0/0-20", word, "embedding", "warm", "decode:1/0-5"));
    read_ring();
    assert_int_equal(rows, 25);
}

static void the_model_can_be_chosen(void **state)
{
    char word[HARNESS_PATH_BYTES + 64];
    struct run *run = *state;
    setenv("SLUICE_TAP_MODEL", "second.gguf", 1);
    snprintf(word, sizeof word, "other:%s", second);
    must(run, HOST(run, "decode:0/0-20", word));
    snprintf(model, sizeof model, "%s", second);
    read_ring();
    assert_int_equal(rows, 4);
}

static void a_child_writes_nothing(void **state)
{
    struct run *run = *state;
    must(run, HOST(run, "decode:0/0-20", "child", "decode:0/20-30"));
    harness_has_not(run->out, "environment");
    read_ring();
    assert_int_equal(rows, 30);
    assert_int_equal(counted[RING_SEQUENCES], 1);
}

static void switched_off_it_captures_nothing(void **state)
{
    struct run *run = *state;
    setenv("SLUICE_TAP_ON", "no", 1);
    HOST(run, "decode:0/0-20", "crash"); /* an empty ring goes with a program that ends */
    harness_has(run->out, "decode 0\n");
    read_ring();
    assert_int_equal(rows, 0);
    assert_int_equal(counted[RING_SEQUENCES], 0);
}

/* Rows of passes that ended are there, the ring is nobody's, and the folder holds nothing else. */
static void a_crash_leaves_nothing_behind(void **state)
{
    struct run *run = *state;
    struct ring_view view;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int code = HOST(run, "decode:0/0-20", "crash");
    assert_true(code == HARNESS_SIGNALLED || code == 134);
    assert_int_equal(view_open(folder, &view), 0);
    int fd = open(view.path, O_RDWR);
    assert_int_equal(fcntl(fd, F_GETLK, &lock), 0);
    assert_int_equal(lock.l_type, F_UNLCK);
    close(fd);
    read_ring();
    assert_int_equal(rows, 20);
    assert_int_equal(rmdir(folder), 0);
}

/* One that frees no model: an empty ring goes with it, and one with rows says that no more come. */
static void an_end_closes_the_ring(void **state)
{
    struct run *run = *state;
    struct ring_view view;
    must(run, HOST(run, "decode:0/0-20", "exit"));
    assert_int_equal(view_open(folder, &view), 0);
    assert_int_equal(atomic_load(&view.ring->host.is_closed), 1);
    munmap(view.ring, view.bytes);
    read_ring();
    assert_int_equal(rows, 20);
    setenv("SLUICE_TAP_ON", "no", 1);
    must(run, HOST(run, "decode:0/0-20", "exit"));
    harness_has(run->out, "decode 0\n");
    there_is_no_ring();
}

/* Whatever its path leads to later. */
static void a_model_out_of_an_open_file_is_known(void **state)
{
    struct run *run = *state;
    struct ring_view view;
    uint64_t key;
    assert_int_equal(model_file_key(model, &key), ERR_OK);
    for (int late = 0; late < 2; late++) {
        must(run, late ? HOST_LATE(run, "stream", "decode:0/0-20")
                       : HOST(run, "stream", "decode:0/0-20"));
        assert_int_equal(view_open(folder, &view), 0);
        assert_true(view.ring->facts.model_key == key);
        munmap(view.ring, view.bytes);
        read_ring(); /* and its path */
        assert_int_equal(rows, 20);
    }
}

/* ---- what goes wrong ---- */

/* The program does what it does without the tap, and the reason is told once. */
static void goes_on_without(struct run *run, const char *hooks, const char *reason)
{
    setenv("SLUICE_TAP_HOOKS", hooks, 1);
    must(run, HOST(run, "decode:0/0-20", "decode:0/20-30", "reload", "decode:0/0-5"));
    harness_has(run->out, "decode 0\ndecode 0\ndecode 0\n");
    harness_has(run->err, reason);
    harness_has(run->err, "goes on without the tap");
    const char *first = strstr(run->err, "sluice:");
    assert_non_null(first);
    assert_null(strstr(first + 1, "sluice:"));
    there_is_no_ring();
}

static void hooks_that_cannot_be_are_told(void **state)
{
    struct run *run = *state;
    goes_on_without(run, "resid_post.9", "the model has layers 0 to 4");
    goes_on_without(run, "resid_post.4", "use layer 3 or below");
    goes_on_without(run, "no_such_node-1", "has no such node");
    goes_on_without(run, "resid_post", "no layer");
    goes_on_without(run, "", "no hook is named");
    goes_on_without(run, "resid_post.1,resid_post.1", "are the same node");
}

static void a_ring_that_cannot_be_made_is_told(void **state)
{
    struct run *run = *state;
    setenv("SLUICE_TAP_FOLDER", "/proc/no-such-folder", 1);
    goes_on_without(run, "resid_post.2", "/proc/no-such-folder");
    setenv("SLUICE_TAP_FOLDER", folder, 1);
    setenv("SLUICE_TAP_RING_BYTES", "100", 1);
    goes_on_without(run, "resid_post.2", "a ring of 100 bytes");
}

static void goes_on_with_unknown_library(struct run *run, const char *reason)
{
    char library[HARNESS_PATH_BYTES];
    run_program("tests/e2e/tap_old_library.so", library);
    setenv("TAP_HOST_LIBRARY", library, 1);
    must(run, HOST_LATE(run, "decode:0/0-20", "own", "large", "decode:0/20-30", "clear", "again"));
    unsetenv("TAP_HOST_LIBRARY");
    harness_has(run->out, "decode 0\ndecode 0\n");
    harness_has(run->err, reason);
    const char *first = strstr(run->err, "sluice:");
    assert_non_null(first);
    assert_null(strstr(first + 1, "sluice:"));
    there_is_no_ring();
}

static void a_version_that_is_not_known_is_told(void **state)
{
    goes_on_with_unknown_library(*state, "has version 99.1");
}

static void structs_that_are_not_ours_are_told(void **state)
{
    setenv("TAP_HOST_ODD", "1", 1);
    goes_on_with_unknown_library(*state, "is laid out otherwise");
    unsetenv("TAP_HOST_ODD");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, run_tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(interleaved_requests_are_told_apart),
        CASE(rows_of_a_real_model),
        CASE(rows_that_are_reordered_are_told_apart),
        CASE(the_newer_kind_of_batch),
        CASE(positions_that_llama_counts),
        CASE(a_program_that_looks_names_up),
        CASE(a_program_that_looks_names_up_without_audit),
        CASE(a_part_of_a_program_that_has_its_own_library),
        CASE(hooks_side_by_side_and_parts_of_a_layer),
        CASE(what_was_computed_for_another_is_reused_and_counted),
        CASE(a_prompt_over_a_cached_prefix),
        CASE(each_change_begins_a_sequence),
        CASE(what_two_could_claim_is_left_out),
        CASE(embeddings_are_no_tokens),
        CASE(rows_under_an_adapter_are_left_out),
        CASE(rows_under_a_lora_are_left_out),
        CASE(a_pass_that_is_stopped_gives_no_row),
        CASE(a_pass_that_is_left_gives_its_places_up),
        CASE(a_pass_that_fails_begins_a_sequence),
        CASE(its_own_callback_sees_what_it_saw),
        CASE(other_contexts_are_left_alone),
        CASE(the_model_can_be_chosen),
        CASE(a_child_writes_nothing),
        CASE(switched_off_it_captures_nothing),
        CASE(a_crash_leaves_nothing_behind),
        CASE(an_end_closes_the_ring),
        CASE(a_model_out_of_an_open_file_is_known),
        CASE(hooks_that_cannot_be_are_told),
        CASE(a_ring_that_cannot_be_made_is_told),
        CASE(a_version_that_is_not_known_is_told),
        CASE(structs_that_are_not_ours_are_told),
    };
    engine_threads_passive(argv);
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
