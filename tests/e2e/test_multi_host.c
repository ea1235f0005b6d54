/*
 * One file, two hosts: capture on one, broker, sink and trainer on the other. The hosts are network
 * namespaces with a cable between them that loses packets, resets connections, and is cut for 15 s;
 * every row must be there exactly once all the same. Needs root, for the namespaces.
 */
#include "tests/e2e/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 600000 };

static const char alpha[] = "10.77.13.1", beta[] = "10.77.13.2";

/* The namespaces of this test's run, and the processes that run there. */
static char host_a[40], host_b[40];

/* A shell command that must work. */
static void shell(const char *format, ...)
{
    char command[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    int status = system(command);
    if (status != 0) fail_msg("exit %d: %s", WEXITSTATUS(status), command);
}

static void cable(void)
{
    char cable_a[16], cable_b[16];
    snprintf(host_a, sizeof host_a, "sluice-a-%d", (int)getpid());
    snprintf(host_b, sizeof host_b, "sluice-b-%d", (int)getpid());
    snprintf(cable_a, sizeof cable_a, "sla%d", (int)getpid());
    snprintf(cable_b, sizeof cable_b, "slb%d", (int)getpid());
    shell("ip netns add %s && ip netns add %s", host_a, host_b);
    shell("ip link add %s type veth peer name %s", cable_a, cable_b);
    shell("ip link set %s netns %s && ip link set %s netns %s", cable_a, host_a, cable_b, host_b);
    shell("ip -n %s address add %s/24 dev %s && ip -n %s link set %s up && ip -n %s link set lo up",
          host_a, alpha, cable_a, host_a, cable_a, host_a);
    shell("ip -n %s address add %s/24 dev %s && ip -n %s link set %s up && ip -n %s link set lo up",
          host_b, beta, cable_b, host_b, cable_b, host_b);
}

/* What arrives at a host passes these rules; "" for none. */
static void rules(const char *host, const char *rule)
{
    shell("ip netns exec %s nft flush ruleset", host);
    if (!rule[0]) return;
    shell("ip netns exec %s nft 'add table inet t; add chain inet t c { type filter hook input "
          "priority 0; }; add rule inet t c %s'",
          host, rule);
}

static void both(const char *rule)
{
    rules(host_a, rule);
    rules(host_b, rule);
}

static int set_up(void **state)
{
    if (run_set_up(state) != 0) return -1;
    if (geteuid() == 0) cable();
    return 0;
}

static int tear_down(void **state)
{
    int result = run_tear_down(state);
    char command[256];
    if (geteuid() != 0) return result;
    snprintf(command, sizeof command, "ip netns del %s; ip netns del %s", host_a, host_b);
    return system(command) == 0 ? result : -1;
}

static void configure(struct run *run)
{
    char text[2048];
    snprintf(text, sizeof text,
             "broker: { keys: %s/keys, front: \"tcp://%s:7101\", back: \"tcp://%s:7102\" }\n"
             "capture:\n"
             "  engine: synthetic\n"
             "  producers: 2\n"
             "  measure_contexts: 4\n"
             "  synthetic: { features: 64, width: 64, l0: 4, rows: %d, sequence_rows: 64 }\n"
             "sink: { size: 32MiB }\n"
             "trainer:\n"
             "  batch_rows: 512\n"
             "  checkpoint_seconds: 1\n"
             "  eval_rows: 2000\n"
             "  saes: [ { name: rows, arch: count } ]\n",
             run->dir, alpha, alpha, ROWS);
    run_configure(run, "", text);
    assert_int_equal(run_command(run, 20, "sluice", "keygen", run->config, NULL), 0);
    assert_int_equal(run_command(run, 20, "sluice", "keygen", run->config, "--for", "beta", NULL),
                     0);
}

static pid_t start_a(struct run *run)
{
    char sluice[HARNESS_PATH_BYTES];
    run_program("sluice", sluice);
    return run_start(run, "up-a", "/usr/bin/env", "ip", "netns", "exec", host_a, sluice, "up",
                     run->config, "--only", "broker,sink,trainer", NULL);
}

/* One of the two producers, each with a run folder of its own. */
static pid_t start_b(struct run *run, const char *keys, const char *producer)
{
    char sluice[HARNESS_PATH_BYTES], folder[HARNESS_PATH_BYTES + 64],
        secrets[HARNESS_PATH_BYTES + 64];
    run_program("sluice", sluice);
    snprintf(folder, sizeof folder, "stream.run_dir=%s/%s", run->dir, producer);
    snprintf(secrets, sizeof secrets, "broker.keys=%s/%s", run->dir, keys);
    return run_start(run, producer, "/usr/bin/env", "ip", "netns", "exec", host_b, sluice, "up",
                     run->config, "--only", producer, "--set", folder, "--set", secrets, NULL);
}

/* Both hosts end well; else what they said is shown. */
static void await_end(struct run *run, pid_t a, const pid_t b[2])
{
    static const char *const names[] = {"../up-a.out", "../capture-0.out", "../capture-1.out"};
    int code[] = {run_wait(a, 180), run_wait(b[0], 60), run_wait(b[1], 60)}, failed = 0;
    for (int i = 0; i < 3; i++) {
        if (code[i] == 0) continue;
        char *said = run_text(run, names[i], NULL);
        print_message("%s: exit code %d; %s\n", names[i], code[i], said ? said : "");
        free(said);
        failed = 1;
    }
    assert_false(failed);
}

static void start_both(struct run *run, pid_t b[2])
{
    b[0] = start_b(run, "keys/beta", "capture-0");
    b[1] = start_b(run, "keys/beta", "capture-1");
}

/*
 * What the broker on the other host tells this one, once all have reported to it. Over this cable an
 * answer takes long: the trainer waits meanwhile, so that the run is not over before it is struck.
 */
static void status_is_told(struct run *run)
{
    char sluice[HARNESS_PATH_BYTES], secrets[HARNESS_PATH_BYTES + 64];
    run_program("sluice", sluice);
    snprintf(secrets, sizeof secrets, "broker.keys=%s/keys/beta", run->dir);
    for (double until = harness_seconds() + 60; harness_seconds() < until; harness_sleep(0.2)) {
        run_hold(run, "trainer-main");
        int code = run_command(run, 20, "/usr/bin/env", "ip", "netns", "exec", host_b, sluice,
                               "status", run->config, "--set", secrets, NULL);
        run_let_go(run, "trainer-main");
        if (code == 0 && strstr(run->out, "trainer-main") && strstr(run->out, "capture-1")) return;
    }
    fail_msg("%s%s", run->out, run->err);
}

static void exact_over_a_bad_cable(void **state)
{
    struct run *run = *state;
    if (geteuid() != 0) skip(); /* network namespaces need root */
    configure(run);
    both("numgen random mod 100 < 5 drop");
    pid_t a = start_a(run), b[2];
    start_both(run, b);
    run_await_drawn(run, "main", 40000, 60);
    status_is_told(run);
    for (int i = 0; i < 3; i++) {
        uint64_t drawn = run_drawn(run, "main");
        rules(host_a, "ip protocol tcp reject with tcp reset");
        harness_sleep(0.2);
        rules(host_a, "numgen random mod 100 < 5 drop");
        run_await_drawn(run, "main", drawn + 30000, 60);
    }
    both("drop");
    if (run_process(run, "capture-0") == 0 && run_process(run, "capture-1") == 0)
        fail_msg("all rows were over the cable before it was cut");
    harness_sleep(15);
    both("numgen random mod 100 < 5 drop");
    await_end(run, a, b);
    assert_true(run_counts_are(run, "main", ROWS, 1));
}

/* A key that is not in the list gets nowhere, and is told so; it may come in while all runs. */
static void let_in_without_a_restart(void **state)
{
    struct run *run = *state;
    char path[HARNESS_PATH_BYTES + 32];
    if (geteuid() != 0) skip();
    configure(run);
    snprintf(path, sizeof path, "%s/keys/allow", run->dir);
    shell("cp %s %s.all && grep -v '^beta ' %s.all >%s", path, path, path, path);
    pid_t a = start_a(run), b[2];
    start_both(run, b);
    run_await_process(run, "capture-0", 30);
    run_await_said(run, "capture-0/log/capture-0.log", "not in its allow-list", 1);
    harness_sleep(5);
    assert_int_equal(run_drawn(run, "main"), 0);
    shell("cp %s.all %s", path, path);
    run_await_drawn(run, "main", 1000, 60);
    run_hold(run, "trainer-main");
    /* Out again: what stands is of no use any more. */
    shell("grep -v '^beta ' %s.all >%s", path, path);
    harness_sleep(9);
    run_await_said(run, "run/log/broker.log", "not_allowed", 1);
    shell("cp %s.all %s", path, path);
    run_let_go(run, "trainer-main");
    await_end(run, a, b);
    assert_true(run_counts_are(run, "main", ROWS, 1));
}

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(exact_over_a_bad_cable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(let_in_without_a_restart, set_up, tear_down),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
