/* `sluice tap`: a program is run with the tap, listed, switched and told, while it runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/harness.h"
#include "tests/tiny_models.h"
#include "tests/unit/client/ring_reader.h"

enum { SECONDS = 60, PATH_BYTES = HARNESS_PATH_BYTES + 64, NOBODY = 65534 };

static char model[PATH_BYTES], taps[PATH_BYTES], host[HARNESS_PATH_BYTES];

static int set_up(void **state)
{
    char rest[PATH_BYTES + 256];
    struct tiny tiny = {.architecture = "llama", .layers = 5, .seed = 1};
    if (run_set_up(state) != 0) return -1;
    struct run *run = *state;
    snprintf(model, sizeof model, "%s/tiny.gguf", run->dir);
    tiny_write(model, &tiny);
    snprintf(taps, sizeof taps, "%s/taps", run->dir);
    run_program("tests/e2e/tap_host", host);
    snprintf(rest, sizeof rest,
             "capture: {engine: ring, rings: %s/rings, ring_size: 4MiB, share: 0.5}\n"
             "trainer: {saes: [{arch: topk, features: 64, k: 4, lr: 1e-3}]}\n",
             run->dir);
    run_configure(run, "hooks: [resid_post.2], policy: shed", rest);
    return 0;
}

/* A host that waits for each of the files a, b and c, and decodes 20 tokens behind each. */
static pid_t start(struct run *run, const char *name, const char *file)
{
    static const char *const letters[] = {"a", "b", "c"};
    char word[3][PATH_BYTES + 16];
    for (int i = 0; i < 3; i++)
        snprintf(word[i], sizeof word[i], "until:%s/%s.%s", run->dir, name, letters[i]);
    if (file)
        return run_start(run, name, "sluice", "tap", file, "--", host, model, word[0],
                         "decode:0/0-20", word[1], "clear", "decode:1/0-20", word[2],
                         "decode:2/0-20", NULL);
    return run_start(run, name, "sluice", "tap", "--", host, model, word[0], "decode:0/0-20",
                     word[1], "clear", "decode:1/0-20", word[2], "decode:2/0-20", NULL);
}

static void go_on(struct run *run, const char *name, const char *letter)
{
    char file[64];
    snprintf(file, sizeof file, "%s.%s", name, letter);
    run_write(run, file, "");
}

/* What `tap list` says; the caller decrefs. */
static json_t *list(struct run *run)
{
    assert_int_equal(run_command(run, SECONDS, "sluice", "tap", "list", "--json", NULL), 0);
    json_t *all = json_loads(run->out, 0, NULL);
    assert_non_null(all);
    return all;
}

/* Wait until so many are listed, and the first of them has done so many passes. */
static void await(struct run *run, size_t count, json_int_t passes)
{
    double until = harness_seconds() + SECONDS;
    for (;;) {
        json_t *all = list(run), *first = json_array_get(all, 0);
        int is_so = json_array_size(all) == count &&
                    (passes == 0 || json_integer_value(json_object_get(first, "passes")) >= passes);
        json_decref(all);
        if (is_so) return;
        if (harness_seconds() > until) fail_msg("never so many: %s", run->out);
        harness_sleep(0.02);
    }
}

/* A count that the only one tells. */
static json_int_t told(struct run *run, const char *key)
{
    json_t *all = list(run), *value = json_object_get(json_array_get(all, 0), key);
    assert_int_equal(json_array_size(all), 1);
    json_int_t n = json_is_boolean(value) ? json_is_true(value) : json_integer_value(value);
    json_decref(all);
    return n;
}

static void sluice(struct run *run, int code, const char *a, const char *b, const char *c,
                   const char *d)
{
    int got = run_command(run, SECONDS, "sluice", "tap", a, b, c, d, NULL);
    if (got != code) fail_msg("tap %s: exit code %d: %s%s", a, got, run->out, run->err);
}

/* ---- tests ---- */

/* Number, descriptors, limits and exit code are as if it was run by itself. */
static void the_program_is_itself(void **state)
{
    struct run *run = *state;
    char by_itself[256], number[32];
    const char *what = "ulimit -c; umask; cat; echo error >&2; exit 7";
    assert_int_equal(run_command(run, SECONDS, "/bin/sh", "-c", what, NULL), 7);
    snprintf(by_itself, sizeof by_itself, "%.255s", run->out);
    assert_int_equal(run_command(run, SECONDS, "sluice", "tap", "--", "sh", "-c", what, NULL), 7);
    assert_string_equal(run->out, by_itself);
    assert_string_equal(run->err, "error\n");
    pid_t pid = run_start(run, "number", "sluice", "tap", "--", "/bin/sh", "-c", "echo $$", NULL);
    assert_int_equal(run_wait(pid, SECONDS), 0);
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/number.out", run->dir);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_non_null(fgets(number, sizeof number, in));
    fclose(in);
    assert_int_equal(atoi(number), pid);
}

static void what_cannot_be_run(void **state)
{
    struct run *run = *state;
    char path[PATH_BYTES];
    run_write(run, "text", "no program");
    snprintf(path, sizeof path, "%s/text", run->dir);
    sluice(run, 127, "--", "no-such-program-here", NULL, NULL);
    harness_has(run->err, "no-such-program-here: there is no such program");
    sluice(run, 126, "--", path, NULL, NULL);
    harness_has(run->err, "may not be run");
    sluice(run, 2, "--model", "x", NULL, NULL);
    harness_has(run->err, "which program?");
    sluice(run, 2, "--set", "capture.share=1", "--", "true");
    harness_has(run->err, "FILE");
    run_configure(run, "hooks: [resid_post.2]", "");
    sluice(run, 2, run->config, "--", "true", NULL);
    harness_has(run->err, "capture.engine: ring");
}

static void libraries_that_are_set_stay(void **state)
{
    struct run *run = *state;
    char client[HARNESS_PATH_BYTES];
    run_program("libsluice.so.1", client);
    setenv("LD_PRELOAD", client, 1);
    setenv("SLUICE_TAP_OUTER", "told to another", 1);
    int code = run_command(run, SECONDS, "sluice", "tap", run->config, "--model", "big", "--", "sh",
                           "-c", "env", NULL);
    unsetenv("LD_PRELOAD");
    unsetenv("SLUICE_TAP_OUTER");
    assert_int_equal(code, 0);
    harness_has(run->out, "/libsluice-tap.so:/");
    harness_has(run->out, client);
    harness_has(run->out, "/libsluice-audit.so\n");
    harness_has(run->out, "SLUICE_TAP_STREAM=test\n");
    harness_has(run->out, "SLUICE_TAP_HOOKS=resid_post.2\n");
    harness_has(run->out, "SLUICE_TAP_SHARE=0.5\n");
    harness_has(run->out, "SLUICE_TAP_BYTES_PER_SECOND=0\n");
    harness_has(run->out, "SLUICE_TAP_RING_BYTES=4194304\n");
    harness_has(run->out, "SLUICE_TAP_MODEL=big\n");
    harness_has(run->out, "SLUICE_TAP_ON=yes\n");
    harness_has_not(run->out, "SLUICE_TAP_OUTER");
}

/* It runs untold, is told, switched off and on, and gone at its end. */
static void it_is_told_while_it_runs(void **state)
{
    struct run *run = *state;
    pid_t pid = start(run, "host", NULL);
    await(run, 1, 0);
    assert_int_equal(told(run, "pid"), pid);
    assert_int_equal(told(run, "on"), 0);
    sluice(run, 0, "list", NULL, NULL, NULL);
    harness_has(run->out, ": off\n");
    harness_has(run->out, "none was told; HINT: sluice tap set FILE");
    sluice(run, 1, "on", NULL, NULL, NULL);
    harness_has(run->err, "no stream is named");
    sluice(run, 0, "set", run->config, "--share", "1");
    harness_has(run->out, ": on\n");
    go_on(run, "host", "a");
    await(run, 1, 1);
    assert_int_equal(told(run, "captured_rows"), 20);
    sluice(run, 0, "off", NULL, NULL, NULL);
    assert_int_equal(told(run, "on"), 0);
    go_on(run, "host", "b");
    await(run, 1, 2);
    assert_int_equal(told(run, "captured_rows"), 20);
    sluice(run, 0, "on", "all", NULL, NULL);
    sluice(run, 0, "list", NULL, NULL, NULL);
    harness_has(run->out, "20 rows of 1 sequences");
    harness_has(run->out, "none yet; HINT: `sluice up` of stream test");
    go_on(run, "host", "c");
    assert_int_equal(run_wait(pid, SECONDS), 0);
    assert_int_equal(json_array_size(list(run)), 0);
    assert_int_equal(rmdir(taps), 0);
}

/* The ring of the run's program. */
static void open_ring(struct run *run, struct ring_view *view)
{
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s/rings", run->dir);
    if (view_open(folder, view) != 0) fail_msg("there is no ring in %s", folder);
}

/* As Python does: through LD_AUDIT. Below a shell and env, too, which hand it on. */
static void a_program_that_looks_names_up(void **state)
{
    struct run *run = *state;
    struct ring_view view;
    char library[HARNESS_PATH_BYTES], late[HARNESS_PATH_BYTES];
    run_program("lib/libllama.so.0", library);
    run_program("tests/e2e/tap_host_late", late);
    setenv("TAP_HOST_LIBRARY", library, 1);
    int code =
        run_command(run, SECONDS, "sluice", "tap", run->config, "--set", "capture.share=1", "--",
                    "sh", "-c", "exec env \"$0\" \"$@\"", late, model, "decode:0/0-20", NULL);
    unsetenv("TAP_HOST_LIBRARY");
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
    harness_has_not(run->out, "the environment has the tap");
    open_ring(run, &view);
    assert_int_equal(atomic_load(&view.ring->host.count[RING_WRITTEN]), 20);
    view_close(&view);
}

/* A request that was cached before the word was told may have it, and is not captured with what is
 * asked next. */
static void a_word_that_is_told_late(void **state)
{
    struct run *run = *state;
    char word[2][PATH_BYTES + 16];
    for (int i = 0; i < 2; i++)
        snprintf(word[i], sizeof word[i], "until:%s/host.%c", run->dir, "ab"[i]);
    pid_t pid =
        run_start(run, "host", "sluice", "tap", "--", host, model, "decode:0/0-20", word[0],
                  "remove:0:10:-1", "decode:0/10-25", "clear", "decode:0/0-5", word[1], NULL);
    await(run, 1, 1);
    run_configure(run, "hooks: [resid_post.2], policy: shed",
                  "capture: {engine: ring, ring_size: 4MiB, exclude_text: \"#private#\"}\n"
                  "trainer: {saes: [{arch: topk, features: 64, k: 4, lr: 1e-3}]}\n");
    char rings[PATH_BYTES];
    snprintf(rings, sizeof rings, "capture.rings=%s/rings", run->dir);
    sluice(run, 0, "set", run->config, "--set", rings);
    go_on(run, "host", "a");
    await(run, 1, 3);
    assert_int_equal(told(run, "excluded_rows"), 15);
    assert_int_equal(told(run, "captured_rows"), 5);
    go_on(run, "host", "b");
    assert_int_equal(run_wait(pid, SECONDS), 0);
}

/* What a reader does and says is told. */
static void the_reader_is_seen(void **state)
{
    struct run *run = *state;
    struct ring_view view;
    pid_t pid = start(run, "host", run->config);
    await(run, 1, 0);
    sluice(run, 0, "set", "--share", "1", NULL);
    go_on(run, "host", "a");
    await(run, 1, 1);
    open_ring(run, &view);
    view_seen(&view);
    sluice(run, 0, "list", NULL, NULL, NULL);
    harness_has(run->out, "took 0 rows");
    atomic_store(&view.ring->reader.seen_ns, 1000000000);
    sluice(run, 0, "list", NULL, NULL, NULL);
    harness_has(run->out, "gone; it took 0 rows");
    snprintf(view.ring->reader.reason, sizeof view.ring->reader.reason, "its hooks are others");
    atomic_store(&view.ring->reader.verdict, RING_REFUSED);
    sluice(run, 0, "list", NULL, NULL, NULL);
    harness_has(run->out, "the reader refuses its rows: its hooks are others");
    view_close(&view);
    kill(pid, SIGTERM);
    run_wait(pid, SECONDS);
}

static void what_the_program_refuses(void **state)
{
    struct run *run = *state;
    struct ring_view view;
    pid_t pid = start(run, "host", run->config);
    await(run, 1, 0);
    assert_int_equal(told(run, "on"), 1);
    go_on(run, "host", "a");
    await(run, 1, 1);
    sluice(run, 1, "set", "--hooks", "resid_post.9", NULL);
    harness_has(run->err, "the model has layers 0 to 4");
    sluice(run, 2, "set", "--hooks", "resid_post", NULL);
    harness_has(run->err, "no layer");
    sluice(run, 2, "set", "--share", "2", NULL);
    harness_has(run->err, "--share: '2' is not a number");
    sluice(run, 2, "set", NULL, NULL, NULL);
    harness_has(run->err, "nothing is to be set");
    sluice(run, 2, "set", "1", "2", NULL);
    harness_has(run->err, "two processes");
    sluice(run, 1, "off", "1", NULL, NULL);
    harness_has(run->err, "process 1 is not tapped");
    sluice(run, 2, "off", "host", NULL, NULL);
    harness_has(run->err, "is no number of a process");
    sluice(run, 0, "set", "--rows-per-second", "500", "--json");
    harness_has(run->out, "\"rows_per_second\": 500.0");
    harness_has(run->out, "\"share\": 0.5");
    sluice(run, 0, "set", run->config, "--set", "capture.bytes_per_second=25600");
    harness_has(run->out, "0.5 of the sequences, 25,600 bytes per second at most");
    open_ring(run, &view);
    uint64_t interval = (uint64_t)(RING_UNITS_PER_SECOND * 2 * TINY_WIDTH / 25600);
    assert_int_equal(atomic_load(&view.ring->control.interval), interval);
    view_close(&view);
    sluice(run, 0, "set", "--hooks", "resid_post.1,resid_post.3", NULL);
    sluice(run, 0, "list", NULL, NULL, NULL);
    harness_has(run->out, "resid_post.1,resid_post.3");
    kill(pid, SIGTERM);
    run_wait(pid, SECONDS);
}

static void of_several_one_is_named(void **state)
{
    struct run *run = *state;
    char number[2][32];
    pid_t pid[2] = {start(run, "one", run->config), start(run, "two", run->config)};
    for (int i = 0; i < 2; i++) snprintf(number[i], sizeof number[i], "%d", (int)pid[i]);
    await(run, 2, 0);
    sluice(run, 2, "off", NULL, NULL, NULL);
    harness_has(run->err, "several programs are tapped");
    harness_has(run->err, number[0]);
    harness_has(run->err, number[1]);
    sluice(run, 0, "off", number[1], NULL, NULL);
    json_t *all = list(run), *one;
    size_t i;
    json_array_foreach(all, i, one)
    {
        int is_second = json_integer_value(json_object_get(one, "pid")) == pid[1];
        assert_int_equal(json_is_true(json_object_get(one, "on")), !is_second);
    }
    json_decref(all);
    sluice(run, 0, "off", "all", NULL, NULL);
    harness_has_not(run->out, ": on\n");
    for (i = 0; i < 2; i++) {
        kill(pid[i], SIGTERM);
        run_wait(pid[i], SECONDS);
    }
}

static void one_that_was_killed_is_forgotten(void **state)
{
    struct run *run = *state;
    pid_t pid = start(run, "host", run->config);
    await(run, 1, 0);
    kill(pid, SIGKILL);
    run_wait(pid, SECONDS);
    assert_int_equal(rmdir(taps), -1);
    sluice(run, 1, "off", NULL, NULL, NULL);
    harness_has(run->err, "no program is tapped");
    assert_int_equal(rmdir(taps), 0);
}

static void one_that_is_stopped_is_told(void **state)
{
    struct run *run = *state;
    pid_t pid = start(run, "host", run->config);
    await(run, 1, 0);
    kill(pid, SIGSTOP);
    sluice(run, 0, "list", NULL, NULL, NULL);
    harness_has(run->out, "it does not answer: it is stopped");
    sluice(run, 1, "off", NULL, NULL, NULL);
    harness_has(run->err, "it does not answer: it is stopped");
    kill(pid, SIGKILL);
    run_wait(pid, SECONDS);
}

/* Somebody who serves this socket there: as this user, and answering so. A pipe's end says when. */
static pid_t serve(const char *name, uid_t uid, const char *answer)
{
    char byte = 0, request[512];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int ready[2], fd;
    mkdir(taps, 0700);
    snprintf(address.sun_path, sizeof address.sun_path, "%.80s/%s", taps, name);
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int server = socket(AF_UNIX, SOCK_STREAM, 0);
        if (bind(server, (struct sockaddr *)&address, sizeof address) != 0) _exit(1);
        if (uid != getuid() && setuid(uid) != 0) _exit(2);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* where the test fails */
        if (listen(server, 4) != 0 || write(ready[1], &byte, 1) != 1) _exit(3);
        while ((fd = accept(server, NULL, NULL)) >= 0) {
            if (recv(fd, request, sizeof request, 0) > 0) send(fd, answer, strlen(answer), 0);
            close(fd);
        }
        _exit(4);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void what_is_no_tap_of_ours(void **state)
{
    static const struct {
        const char *answer, *said;
    } all[] = {
        {"sluice-tap: 2\nresult: ok\n\n", "it speaks protocol 2, this sluice 1"},
        {"sluice-tap: 1\nresult: refused\nwhy: a whim\n\n", "a whim"},
        {"HTTP/1.1 200 OK\n\n", "what it says is no tap's answer"},
        {"sluice-tap: 1\n", "it does not answer"},
    };
    struct run *run = *state;
    for (size_t i = 0; i <= sizeof all / sizeof *all; i++) {
        int is_foreign = i == sizeof all / sizeof *all;
        if (is_foreign && getuid() != 0) break;
        pid_t pid = serve("77.sock", is_foreign ? NOBODY : getuid(),
                          is_foreign ? "sluice-tap: 1\nresult: ok\n\n" : all[i].answer);
        const char *said = is_foreign ? "another user serves its socket" : all[i].said;
        sluice(run, 0, "list", NULL, NULL, NULL);
        harness_has(run->out, said);
        sluice(run, 1, "off", NULL, NULL, NULL);
        harness_has(run->err, said);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        assert_int_equal(json_array_size(list(run)), 0);
    }
}

/* As programs of two containers that share the folder have it. */
static void two_of_one_number(void **state)
{
    static const char answer[] = "sluice-tap: 1\nresult: ok\nprogram: server\non: no\n\n";
    struct run *run = *state;
    pid_t pid[2] = {serve("1-0000000a.sock", getuid(), answer),
                    serve("1-0000000b.sock", getuid(), answer)};
    sluice(run, 0, "list", NULL, NULL, NULL);
    harness_has(run->out, "process 1-0000000a: off");
    sluice(run, 2, "off", "1", NULL, NULL);
    harness_has(run->err, "1-0000000a");
    harness_has(run->err, "1-0000000b");
    sluice(run, 0, "off", "1-0000000b", NULL, NULL);
    harness_has(run->out, "process 1-0000000b");
    harness_has_not(run->out, "process 1-0000000a");
    kill(pid[0], SIGKILL);
    waitpid(pid[0], NULL, 0);
    sluice(run, 0, "off", "1", NULL, NULL);
    harness_has(run->out, "process 1: off");
    sluice(run, 0, "off", "1-0000000b", NULL, NULL); /* the name that it had is its name still */
    harness_has(run->out, "process 1: off");
    kill(pid[1], SIGKILL);
    waitpid(pid[1], NULL, 0);
}

static void a_folder_of_others_is_told(void **state)
{
    struct run *run = *state;
    assert_int_equal(mkdir(taps, 0700), 0);
    assert_int_equal(chmod(taps, 0777), 0);
    sluice(run, 1, "off", NULL, NULL, NULL);
    harness_has(run->err, "cannot be used");
    harness_has(run->err, "no program is tapped");
    pid_t pid = start(run, "host", run->config);
    go_on(run, "host", "a");
    go_on(run, "host", "b");
    go_on(run, "host", "c");
    assert_int_equal(run_wait(pid, SECONDS), 0); /* it goes on, and says so */
    char path[PATH_BYTES], text[1024] = "";
    snprintf(path, sizeof path, "%s/host.out", run->dir);
    int fd = open(path, O_RDONLY);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    harness_has(text, "`sluice tap list` does not see it");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, run_tear_down)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        CASE(the_program_is_itself),
        CASE(what_cannot_be_run),
        CASE(libraries_that_are_set_stay),
        CASE(it_is_told_while_it_runs),
        CASE(a_program_that_looks_names_up),
        CASE(a_word_that_is_told_late),
        CASE(the_reader_is_seen),
        CASE(what_the_program_refuses),
        CASE(of_several_one_is_named),
        CASE(one_that_was_killed_is_forgotten),
        CASE(one_that_is_stopped_is_told),
        CASE(what_is_no_tap_of_ours),
        CASE(two_of_one_number),
        CASE(a_folder_of_others_is_told),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
