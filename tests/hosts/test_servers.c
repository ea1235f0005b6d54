/*
 * Real, unmodified servers under real HTTP requests, alone and behind SLUICE_HOSTS_PREFIX ("sluice tap
 * FILE --"): they answer, and the answers are the same. Without a prefix each runs twice alone, which
 * shows that the comparison holds.
 *
 * A float sum depends on what else is in a batch, and a close call of two tokens on the float. So
 * answers are compared where no batch has another's tokens: one request at a time, or ubatches of one
 * token with a cache for each slot. Eight at once in whole batches have to be answered.
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
#include <string.h>

#include <cmocka.h>

enum { REQUESTS = 16, CONCURRENT = 8, TOKENS = 16, WORDS = 20, SECONDS = 240 };

static struct prompts prompts;

static void must(const struct run *run, int code)
{
    if (code != ERR_OK) fail_msg("%s: %s (%s)", err_str(code), err_text(), run->dir);
}

/* A server's life: it is started, asked, and stopped with SIGTERM. */
static void answered(const struct run *run, const char *prefix, struct server_options *options,
                     struct traffic *traffic)
{
    char log[2 * HARNESS_PATH_BYTES];
    struct server server;
    snprintf(log, sizeof log, "%s/server.log", run->dir);
    options->model = command_model();
    options->log = log;
    options->prefix = prefix;
    options->threads = 2;
    must(run, server_start(options, &server));
    struct traffic_options load = {.port = server.port,
                                   .concurrent = CONCURRENT,
                                   .requests = REQUESTS,
                                   .tokens = TOKENS,
                                   .limit_seconds = SECONDS,
                                   .prompts = &prompts,
                                   .pid = server.pid};
    int result = traffic_run(&load, traffic);
    int code = server_stop(&server);
    must(run, result);
    print_message("%s%s%s: %ld tokens, %.1f per second, p99 %.1f ms, %.2f processor seconds\n",
                  prefix, *prefix ? " " : "", server_name(options->kind), traffic->tokens,
                  traffic->tokens_per_second, traffic->p99_ms, traffic->processor.own);
    if (code != 0 && code != -SIGTERM)
        fail_msg("%s ended with %d", server_name(options->kind), code);
}

/* Every request has an answer of about as many tokens as it asked for: a character may have several. */
static void all_are_whole(const struct traffic *traffic)
{
    assert_true(traffic->tokens > REQUESTS * TOKENS / 2);
    assert_true(traffic->tokens <= REQUESTS * TOKENS);
    for (int i = 0; i < REQUESTS; i++) assert_true(strlen(traffic->answers[i]) > TOKENS / 2);
    assert_true(traffic->processor.own > 0);
}

static int same_answers(const struct traffic *a, const struct traffic *b)
{
    int same = 0;
    for (int i = 0; i < REQUESTS; i++) {
        int equal = strcmp(a->answers[i], b->answers[i]) == 0;
        if (!equal) print_message("%d: '%s'\n   '%s'\n", i, a->answers[i], b->answers[i]);
        same += equal;
    }
    return same;
}

static void compare(const struct run *run, struct server_options *options, int wanted)
{
    struct traffic alone, behind;
    answered(run, "", options, &alone);
    answered(run, command_prefix(), options, &behind);
    all_are_whole(&alone);
    all_are_whole(&behind);
    int same = same_answers(&alone, &behind);
    print_message("%s: %d of %d answers are the same\n", server_name(options->kind), same,
                  REQUESTS);
    assert_in_range(same, wanted, REQUESTS);
    traffic_free(&alone);
    traffic_free(&behind);
}

static void llama_cpp_server(void **state)
{
    struct server_options options = {
        .kind = SERVER_PYTHON, .context_tokens = 2048, .ubatch_tokens = 512};
    compare(*state, &options, REQUESTS);
}

static void llama_server_token_by_token(void **state)
{
    struct server_options options = {.kind = SERVER_LLAMA,
                                     .slots = CONCURRENT,
                                     .context_tokens = CONCURRENT * 256,
                                     .ubatch_tokens = 1};
    compare(*state, &options, REQUESTS);
}

static void llama_server_in_batches(void **state)
{
    struct server_options options = {.kind = SERVER_LLAMA,
                                     .slots = CONCURRENT,
                                     .context_tokens = CONCURRENT * 256,
                                     .ubatch_tokens = 512};
    compare(*state, &options, 0);
}

static int read_prompts(void **state)
{
    (void)state;
    int result = prompts_read(command_corpus(), REQUESTS, WORDS, 13, &prompts);
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
        cmocka_unit_test_setup_teardown(llama_server_token_by_token, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(llama_server_in_batches, run_set_up, run_tear_down),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, read_prompts, free_prompts);
}
