/*
 * A request whose caller says so is not captured: a word anywhere in its first tokens, set in the
 * pipeline's file. tests/hosts/batched has several requests in one batch.
 */
#include "tests/e2e/harness.h"
#include "tests/tiny_models.h"
#include "tests/unit/client/ring_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint64_t counted[RING_COUNTS];

/* Rows of sequences in the ring of a run of these prompts; capture's keys beside. */
static uint32_t sequences_of(struct run *run, const char *prompts, const char *keys)
{
    char host[HARNESS_PATH_BYTES], model[HARNESS_PATH_BYTES + 16], text[HARNESS_PATH_BYTES + 256];
    char file[HARNESS_PATH_BYTES + 16], rings[HARNESS_PATH_BYTES + 16];
    struct ring_view view;
    struct ring_record *r;
    uint64_t seen = 0;
    struct tiny tiny = {.architecture = "llama", .layers = 4};
    run_program("tests/hosts/batched", host);
    snprintf(model, sizeof model, "%s/tiny.gguf", run->dir);
    snprintf(file, sizeof file, "%s/prompts.txt", run->dir);
    snprintf(rings, sizeof rings, "%s/rings", run->dir);
    tiny_write(model, &tiny);
    run_write(run, "prompts.txt", prompts);
    snprintf(text, sizeof text, "capture: { engine: ring, rings: %s%s }\n", rings, keys);
    run_configure(run, "policy: shed, hooks: [resid_post.1]", text);
    int code = run_command(run, 60, "sluice", "tap", run->config, "--", host, model, "--slots", "3",
                           "--steps", "6", "--threads", "1", "--prompts", file, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    if (view_open(rings, &view) != 0) fail_msg("there is no ring in %s: %s", rings, run->err);
    for (; (r = view_next(&view)); view_done(&view))
        if (!(r->flags & RING_ROW_NONE)) seen |= UINT64_C(1) << r->id.sequence;
    for (int i = 0; i < RING_COUNTS; i++) counted[i] = atomic_load(&view.ring->host.count[i]);
    view_close(&view);
    return (uint32_t)__builtin_popcountll(seen);
}

static const char prompts[] = "the cat sat on it\n"
                              "a dog #private# ran along\n"
                              "some rain fell down\n";

static void a_request_that_says_so_is_left_out(void **state)
{
    struct run *run = *state;
    assert_int_equal(sequences_of(run, prompts, ", exclude_text: \"#private#\""), 2);
    assert_true(counted[RING_EXCLUDED] > 10);
    assert_int_equal(counted[RING_SEQUENCES], 2);
}

static void without_the_word_all_are_captured(void **state)
{
    struct run *run = *state;
    assert_int_equal(sequences_of(run, prompts, ""), 3);
    assert_int_equal(counted[RING_EXCLUDED], 0);
}

static void another_word_excludes_nobody(void **state)
{
    struct run *run = *state;
    assert_int_equal(sequences_of(run, prompts, ", exclude_text: \"#privat#\""), 3);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, run_set_up, run_tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(a_request_that_says_so_is_left_out),
        CASE(without_the_word_all_are_captured),
        CASE(another_word_excludes_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
