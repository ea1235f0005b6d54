/*
 * The batched host, alone and behind SLUICE_HOSTS_PREFIX ("sluice tap FILE --"): it prints the same
 * tokens, ends with the same exit code, and what it wrote down of what it submitted is what it said.
 * Without a prefix it is run twice, which shows that the comparison holds.
 */
#include "base/err.h"
#include "tests/e2e/harness.h"
#include "tests/hosts/command.h"
#include "tests/hosts/replay.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PRINTED_BYTES = 1 << 18 };

static char plain[PRINTED_BYTES], behind[PRINTED_BYTES];
static struct replay replay;

/* Its exit code; the truth is in DIR/truth. */
static int batched(const struct run *run, const char *prefix, const char *options, char *printed)
{
    char program[HARNESS_PATH_BYTES], command[4 * HARNESS_PATH_BYTES];
    run_program("tests/hosts/batched", program);
    snprintf(command, sizeof command, "%s %s --truth %s/truth %s", program, command_model(),
             run->dir, options);
    return command_run(prefix, command, printed, PRINTED_BYTES);
}

static void replayed(const struct run *run)
{
    char path[2 * HARNESS_PATH_BYTES];
    snprintf(path, sizeof path, "%s/truth", run->dir);
    if (replay_read(path, 0, &replay) != ERR_OK) fail_msg("%s", err_text());
}

static void same_both_ways(const struct run *run, const char *options)
{
    int code = batched(run, "", options, plain);
    if (code != 0) fail_msg("%s: exit code %d", options, code);
    code = batched(run, command_prefix(), options, behind);
    if (code != 0) fail_msg("%s behind '%s': exit code %d", options, command_prefix(), code);
    if (strcmp(plain, behind) != 0)
        fail_msg("%s behind '%s':\n%sand alone:\n%s", options, command_prefix(), behind, plain);
    replayed(run);
}

/* The context holds what the slot said in the end, but for the last token, which was not submitted. */
static void holds_what_was_said(int slots)
{
    const char *line = behind;
    for (int slot = 0; slot < slots; slot++, line = strchr(line, '\n') + 1) {
        int32_t said[REPLAY_TOKENS];
        int count = 0, used, number;
        if (sscanf(line, "slot %d:%n", &number, &used) != 1 || number != slot)
            fail_msg("no line of slot %d", slot);
        for (const char *p = line + used; sscanf(p, " %d%n", &said[count], &used) == 1; p += used)
            if (++count == REPLAY_TOKENS || p[used] == '\n') break;
        for (int back = 1; back < count && back <= 6; back++)
            assert_int_equal(replay.held[slot][replay.count[slot] - back], said[count - 1 - back]);
    }
}

static void eight_at_once(void **state)
{
    same_both_ways(*state, "--steps 24");
    holds_what_was_said(8);
    assert_int_equal(replay.removes + replay.copies + replay.shifts + replay.loads, 0);
}

static void by_llama_process(void **state)
{
    same_both_ways(*state, "--steps 16 --process 1");
    holds_what_was_said(8);
}

static void rejected_guesses(void **state)
{
    same_both_ways(*state, "--steps 24 --speculate 4");
    holds_what_was_said(8);
    assert_true(replay.removes > 0);
}

static void shifted(void **state)
{
    same_both_ways(*state, "--steps 60 --shift 32 --system Once.");
    holds_what_was_said(8);
    assert_true(replay.shifts > 0);
    assert_int_equal(replay.copies, 7);
}

static void gone_back(void **state)
{
    same_both_ways(*state, "--steps 16 --save 8");
    holds_what_was_said(8);
    assert_int_equal(replay.loads, 1);
}

/* A kept prefix is not submitted again. */
static void next_turns(void **state)
{
    same_both_ways(*state, "--steps 8 --turns 3 --slots 4 --stagger 2");
    holds_what_was_said(4);
    long again = replay.tokens;
    assert_true(replay.removes > 0);
    same_both_ways(*state, "--steps 8 --turns 3 --slots 4 --stagger 2 --reuse 1");
    holds_what_was_said(4);
    assert_true(replay.tokens < again);
    assert_int_equal(replay.removes, 0);
}

static void twins_and_another_model(void **state)
{
    char options[2 * HARNESS_PATH_BYTES];
    snprintf(options, sizeof options, "--steps 12 --twins 1 --beside %s", command_model());
    same_both_ways(*state, options);
    holds_what_was_said(8);
    assert_int_equal(replay.count[0], replay.count[1]);
}

static void prompts_in_pieces(void **state)
{
    same_both_ways(*state, "--steps 8 --batch 10 --ubatch 4");
    holds_what_was_said(8);
    same_both_ways(*state, "--steps 8 --unified 0");
    holds_what_was_said(8);
}

/* It dies as it would alone, and all that it submitted is in the truth. */
static void a_crash(void **state)
{
    assert_int_equal(batched(*state, command_prefix(), "--crash 6", plain), 128 + SIGABRT);
    replayed(*state);
    assert_true(replay.tokens > 8);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(eight_at_once, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(by_llama_process, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(rejected_guesses, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(shifted, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(gone_back, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(next_turns, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(twins_and_another_model, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(prompts_in_pieces, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_crash, run_set_up, run_tear_down),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
