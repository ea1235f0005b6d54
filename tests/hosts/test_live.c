/*
 * From a real server's traffic to an SAE, and back: an unmodified server under HTTP requests, captured
 * through the tap; an SAE trained meanwhile; then the same server, steered by that SAE, answers as
 * `sluice steer` does.
 */
#include "base/err.h"
#include "tests/e2e/harness.h"
#include "tests/hosts/command.h"
#include "tests/hosts/server.h"
#include "tests/hosts/traffic.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    PROMPTS = 64,
    WORDS = 40,
    TOKENS = 16,
    ROWS = 2500,
    SECONDS = 240,
    ROUNDS = 20,
    FEW = 6,
    COMPARED = 4
};

static struct prompts prompts;

static void must(const struct run *run, int code)
{
    if (code != ERR_OK) fail_msg("%s: %s (%s)", err_str(code), err_text(), run->dir);
}

static void configure(struct run *run)
{
    char text[2048];
    snprintf(text, sizeof text,
             "capture: { engine: ring, rings: %s/rings, rows: %d, measure_contexts: 2 }\n"
             "sink: { size: 64MiB }\n"
             "trainer: { batch_rows: 256, min_rows: 512, eval_rows: 256, saes: [ { arch: topk, "
             "features: 1152, k: 16, lr: 1e-3 } ] }\n",
             run->dir, ROWS);
    run_configure(run, "policy: shed, hooks: [resid_post.15]", text);
}

static void start_server(const struct run *run, enum server_kind kind, struct server *server)
{
    static char log[2 * HARNESS_PATH_BYTES], prefix[3 * HARNESS_PATH_BYTES];
    char sluice[HARNESS_PATH_BYTES];
    run_program("sluice", sluice);
    snprintf(log, sizeof log, "%s/server.log", run->dir);
    snprintf(prefix, sizeof prefix, "%s tap %s --", sluice, run->config);
    struct server_options options = {.kind = kind,
                                     .model = command_model(),
                                     .prefix = prefix,
                                     .log = log,
                                     .slots = 4,
                                     .context_tokens = 4 * 512,
                                     .ubatch_tokens = 512,
                                     .threads = 2};
    must(run, server_start(&options, server));
}

static int ask(const struct server *server, int first, int count, int tokens,
               struct traffic *traffic)
{
    struct prompts some = {prompts.texts + first, count};
    struct traffic_options load = {.port = server->port,
                                   .concurrent = 4,
                                   .requests = count,
                                   .tokens = tokens,
                                   .limit_seconds = SECONDS,
                                   .prompts = &some,
                                   .pid = server->pid};
    return traffic_run(&load, traffic);
}

/* What a tapped program says of itself. */
static long listed(struct run *run, const char *key, char *text, size_t bytes)
{
    if (run_command(run, 20, "sluice", "tap", "list", "--json", NULL) != 0)
        fail_msg("sluice tap list: %s", run->err);
    json_t *all = json_loads(run->out, 0, NULL);
    json_t *value = json_object_get(json_array_get(all, 0), key);
    if (!value) fail_msg("no %s in %s", key, run->out);
    long number = (long)json_integer_value(value);
    if (text) snprintf(text, bytes, "%s", json_string_value(value) ? json_string_value(value) : "");
    json_decref(all);
    return number;
}

/* Requests until the run has all its rows. */
static void train(struct run *run, const struct server *server, pid_t up)
{
    char why[256] = "";
    for (int round = 0; strcmp(why, "the stream has ended") != 0; round++) {
        struct traffic traffic;
        if (round == ROUNDS) fail_msg("after %d rounds of requests there is no end", round);
        must(run, ask(server, round * 16 % 48, 16, TOKENS, &traffic));
        traffic_free(&traffic);
        listed(run, "reader_refuses", why, sizeof why);
    }
    assert_int_equal(run_wait(up, 120), 0);
    assert_int_equal(listed(run, "captured_rows", NULL, 0) + listed(run, "shed_rows", NULL, 0),
                     listed(run, "offered_rows", NULL, 0) - listed(run, "abandoned_rows", NULL, 0));
    char *weights =
        run_text(run, "main/export/topk-1152-k16/saelens/sae_weights.safetensors", NULL);
    assert_non_null(weights);
    free(weights);
}

/* Texts of `sluice steer` for a prompt. */
static json_t *steered_by_us(struct run *run, int prompt, const char *features)
{
    char tokens[16];
    snprintf(tokens, sizeof tokens, "%d", FEW);
    if (run_command(run, 120, "sluice", "steer", run->state, "--model", command_model(),
                    "--exact-model", "--features", features, "--prompt", prompts.texts[prompt],
                    "--tokens", tokens, "--temperature", "0", "--json", NULL) != 0)
        fail_msg("sluice steer: %s", run->err);
    json_t *json = json_loads(run->out, 0, NULL);
    if (!json) fail_msg("no JSON: %s", run->out);
    return json;
}

/* How many of a few prompts the server answers as `sluice steer` does; *differ: how many of these are
 * another text than the unsteered. A close call of two tokens may go either way, as sums depend on what is
 * computed at once, so answers are short and not all must be alike. */
static int alike(struct run *run, const struct server *server, int first, const char *which,
                 const char *features, int *differ)
{
    int same = 0;
    *differ = 0;
    for (int prompt = first; prompt < first + COMPARED; prompt++) {
        struct traffic traffic;
        must(run, ask(server, prompt, 1, FEW, &traffic));
        json_t *json = steered_by_us(run, prompt, features);
        const char *answer = traffic.answers[0];
        const char *text = json_string_value(json_object_get(json_object_get(json, which), "text"));
        const char *plain =
            json_string_value(json_object_get(json_object_get(json, "unsteered"), "text"));
        assert_true(text && plain);
        int is_same = answer[0] && strncmp(text, answer, strlen(answer)) == 0;
        if (!is_same) print_message("the server said '%s', sluice steer '%s'\n", answer, text);
        same += is_same;
        *differ += is_same && strncmp(plain, answer, strlen(answer)) != 0;
        json_decref(json);
        traffic_free(&traffic);
    }
    return same;
}

static void steer(struct run *run, const char *features)
{
    if (run_command(run, 60, "sluice", "tap", "set", "--steer", features,
                    strcmp(features, "off") ? "--sae" : NULL, run->state, NULL) != 0)
        fail_msg("sluice tap set: %s", run->err);
}

static void there_and_back(struct run *run, enum server_kind kind)
{
    static const char features[] = "7=150,300=-100";
    struct server server;
    int differ;
    configure(run);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    start_server(run, kind, &server);
    train(run, &server, up);
    steer(run, features);
    assert_in_range(alike(run, &server, 48, "steered", features, &differ), COMPARED - 1, COMPARED);
    assert_in_range(differ, COMPARED - 1, COMPARED);
    assert_true(listed(run, "steered_tokens", NULL, 0) > FEW * COMPARED);
    steer(run, "off");
    /* Other prompts: what it remembers of those was computed as the model was then. */
    assert_in_range(alike(run, &server, 52, "unsteered", features, &differ), COMPARED - 1,
                    COMPARED);
    int code = server_stop(&server);
    if (code != 0 && code != -SIGTERM) fail_msg("the server ended with %d", code);
}

static void llama_cpp_server(void **state)
{
    there_and_back(*state, SERVER_PYTHON);
}

static void llama_server(void **state)
{
    there_and_back(*state, SERVER_LLAMA);
}

static int read_prompts(void **state)
{
    (void)state;
    int result = prompts_read(command_corpus(), PROMPTS, WORDS, 5, &prompts);
    if (result != ERR_OK) print_error("%s\n", err_text());
    return result;
}

static int free_prompts(void **state)
{
    (void)state;
    prompts_free(&prompts);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(llama_cpp_server, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(llama_server, run_set_up, run_tear_down),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, read_prompts, free_prompts);
}
