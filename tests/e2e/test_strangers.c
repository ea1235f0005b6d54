/*
 * Strangers get nothing: another user of this host, a client of a tcp endpoint without a key or
 * with one that is not in the list, and one that has a role and says what belongs to another. What
 * people are shown, and what a run leaves for them, holds no secret key, no text and no row.
 * (docs/SECURITY.md)
 */
#include "tests/e2e/harness.h"

#include "base/err.h"
#include "base/fileio.h"
#include "proto/message.h"
#include "runtime/link.h"
#include "runtime/log.h"
#include "tests/e2e/fetch.h"

#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

enum { ROWS = 1000000, NOBODY = 65534, PATHS = 512, PATH_ROOM = HARNESS_PATH_BYTES + 128 };

static const char pipeline[] =
    "capture:\n"
    "  engine: synthetic\n"
    "  measure_contexts: 4\n"
    "  synthetic: { features: 64, width: 64, l0: 4, rows: 1000000, sequence_rows: 64 }\n"
    "sink: { size: 32MiB }\n"
    "trainer:\n"
    "  batch_rows: 512\n"
    "  checkpoint_seconds: 1\n"
    "  eval_rows: 2000\n"
    "  saes: [ { name: rows, arch: count }, { name: one, arch: topk, features: 64, k: 4 } ]\n";

/* ---- what lies below a folder ---- */

static char paths[PATHS][PATH_ROOM];
static size_t count;

static void in_test(const struct run *run, const char *name, char *path)
{
    snprintf(path, PATH_ROOM, "%s/%s", run->dir, name);
}

static int add_path(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    if (count == PATHS) fail_msg("more than %d files", PATHS);
    snprintf(paths[count++], PATH_ROOM, "%s", path);
    return 0;
}

static void look_below(const char *folder)
{
    count = 0;
    assert_int_equal(nftw(folder, add_path, 16, FTW_PHYS), 0);
    assert_true(count > 10);
}

/* Nobody else has any right: a file is 0600 or less, a folder 0700. */
static void all_is_private(const struct run *run)
{
    struct stat st;
    look_below(run->state);
    for (size_t i = 0; i < count; i++)
        if (lstat(paths[i], &st) == 0 && (st.st_mode & 077))
            fail_msg("%s has the mode %03o", paths[i], (unsigned)st.st_mode & 0777);
}

/* No file of the test's folder has the text; those of the keys' folder may. */
static void nothing_holds(const struct run *run, const char *text)
{
    struct stat st;
    look_below(run->dir);
    for (size_t i = 0; i < count; i++) {
        char *data;
        size_t bytes;
        if (strstr(paths[i], "/keys/") || strstr(paths[i], "/input/")) continue;
        if (lstat(paths[i], &st) != 0 || !S_ISREG(st.st_mode)) continue;
        if (file_read(paths[i], (size_t)1 << 30, &data, &bytes) != ERR_OK) continue;
        if (memmem(data, bytes, text, strlen(text))) fail_msg("'%s' is in %s", text, paths[i]);
        free(data);
    }
}

/* ---- another user ---- */

static int reaches(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int is_connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return is_connected;
}

/* As another user: the number of the first path that gives something, 1 and up; 0: none does. */
static int try_all(const struct run *run)
{
    char control[PATH_ROOM];
    in_test(run, "open", control);
    if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY)) return -1;
    if (access(control, R_OK))
        return -2; /* the folders above keep it out: nothing is shown by it */
    for (size_t i = 0; i < count; i++) {
        if (strcmp(paths[i], run->state) == 0) continue; /* which the test has opened */
        int fd = open(paths[i], O_RDONLY | O_NONBLOCK);
        int is_open = fd >= 0 || access(paths[i], W_OK) == 0 || reaches(paths[i]);
        if (fd >= 0) close(fd);
        if (is_open) return (int)i + 1;
    }
    return 0;
}

static void another_user_gets_nothing(const struct run *run)
{
    int fds[2], first = -1;
    char path[PATH_ROOM];
    look_below(run->state);
    in_test(run, "open", path);
    run_write(run, "open", "everybody's\n");
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(chmod(run->dir, 0755), 0);
    assert_int_equal(chmod(run->state, 0755), 0); /* what is below holds by itself */
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        first = try_all(run);
        _exit(write(fds[1], &first, sizeof first) != sizeof first);
    }
    assert_int_equal(run_wait(pid, 20), 0);
    assert_int_equal(read(fds[0], &first, sizeof first), sizeof first);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(chmod(run->state, 0700), 0);
    if (first == -2) fail_msg("another user cannot enter %s; HINT: another TMPDIR", run->dir);
    assert_true(first >= 0);
    if (first > 0) fail_msg("another user has %s", paths[first - 1]);
}

/* While it runs, and after it. */
static void another_user(void **state)
{
    struct run *run = *state;
    if (geteuid() != 0) skip(); /* only root becomes another */
    run_configure(run, "", pipeline);
    umask(0); /* what they make is private all the same */
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    umask(022);
    run_await_drawn(run, "main", 1000, 40);
    all_is_private(run);
    another_user_gets_nothing(run);
    assert_int_equal(run_wait(up, 120), 0);
    all_is_private(run);
    another_user_gets_nothing(run);
    assert_true(run_counts_are(run, "main", ROWS, 1));
}

/* ---- what the processes do without ---- */

static int says(pid_t pid, const char *file, const char *line)
{
    char path[64], text[8192];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[n > 0 ? n : 0] = '\0';
    return strstr(text, line) != NULL;
}

static void no_process_leaves_a_core(void **state)
{
    static const char *const names[] = {"sluice", "broker", "sink", "capture-0", "trainer-main"};
    struct run *run = *state;
    run_configure(run, "", pipeline);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    run_await_drawn(run, "main", 1000, 40);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        pid_t pid = run_process(run, names[i]);
        if (!says(pid, "limits", "Max core file size        0                    0 "))
            fail_msg("%s may leave a core", names[i]);
        if (!says(pid, "status", "Umask:\t0077")) fail_msg("%s makes files for others", names[i]);
    }
    assert_int_equal(kill(up, SIGTERM), 0);
    assert_int_equal(run_wait(up, 60), 0);
}

/* ---- keys ---- */

static char endpoints[2][64]; /* front, back */

static void configure_tcp(struct run *run)
{
    char text[4096];
    for (int i = 0; i < 2; i++)
        snprintf(endpoints[i], sizeof endpoints[i], "tcp://127.0.0.1:%d", harness_free_port());
    snprintf(text, sizeof text, "broker: { keys: %s/keys, front: \"%s\", back: \"%s\" }\n%s",
             run->dir, endpoints[0], endpoints[1], pipeline);
    run_configure(run, "", text);
    int code = run_command(run, 20, "sluice", "keygen", run->config, NULL);
    if (code != 0) fail_msg("exit code %d: %s", code, run->err);
}

static void secret_of(const struct run *run, const char *file, struct keys_pair *pair)
{
    char path[PATH_ROOM];
    in_test(run, file, path);
    if (keys_read_pair(path, pair)) fail_msg("%s", err_text());
}

static void refused(struct run *run, const char *program, const char *command, const char *why)
{
    int code = command ? run_command(run, 40, program, command, run->config, NULL)
                       : run_command(run, 40, program, run->config, NULL);
    if (code != 2)
        fail_msg("%s %s: exit code %d: %s", program, command ? command : "", code, run->err);
    harness_has(run->err, why);
}

/* One that others may read, or change, or that is another user's, is not used by anybody. */
static void keys_that_others_have_are_refused(void **state)
{
    static const struct {
        const char *file, *program, *why;
        mode_t mode;
    } wrong[] = {
        {"keys/broker.key", "sluice-broker", "can be read by others (mode 640)", 0640},
        {"keys/broker.key", "sluice-broker", "can be read by others (mode 604)", 0604},
        {"keys/client.key", "sluice-sink", "can be read by others (mode 640)", 0640},
        {"keys/client.key", "sluice-capture", "can be written by others (mode 620)", 0620},
        {"keys/allow", "sluice-broker", "can be written by others (mode 620)", 0620},
        {"keys/broker.pub", "sluice-trainer", "can be written by others (mode 602)", 0602},
    };
    struct run *run = *state;
    char path[PATH_ROOM];
    configure_tcp(run);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        in_test(run, wrong[i].file, path);
        assert_int_equal(chmod(path, wrong[i].mode), 0);
        refused(run, "sluice", "up", wrong[i].why);
        refused(run, "sluice", "check", wrong[i].why);
        refused(run, wrong[i].program, NULL, wrong[i].why);
        assert_int_equal(chmod(path, 0600), 0);
        if (geteuid() != 0) continue;
        assert_int_equal(chown(path, NOBODY, NOBODY), 0);
        refused(run, "sluice", "up", "belongs to another user");
        assert_int_equal(chown(path, 0, 0), 0);
    }
}

static void shows_no_secret(struct run *run, const struct keys_pair *pairs, const char *command,
                            const char *more)
{
    int code = run_command(run, 40, "sluice", command, run->config, more, NULL);
    if (code != 0) fail_msg("%s: exit code %d: %s", command, code, run->err);
    for (int i = 0; i < 2; i++) {
        harness_has_not(run->out, pairs[i].secret);
        harness_has_not(run->err, pairs[i].secret);
    }
}

static void no_secret_is_shown(void **state)
{
    struct run *run = *state;
    struct keys_pair pairs[2];
    configure_tcp(run);
    secret_of(run, "keys/broker.key", &pairs[0]);
    secret_of(run, "keys/client.key", &pairs[1]);
    shows_no_secret(run, pairs, "keygen", "--for=beta");
    shows_no_secret(run, pairs, "check", NULL);
    shows_no_secret(run, pairs, "up", "--print-config");
    pid_t up = run_start(run, "up", "sluice", "up", run->config, "--log-level", "debug", NULL);
    run_await_drawn(run, "main", 1000, 40);
    shows_no_secret(run, pairs, "status", NULL);
    shows_no_secret(run, pairs, "status", "--json");
    assert_int_equal(run_wait(up, 120), 0);
    for (int i = 0; i < 2; i++) nothing_holds(run, pairs[i].secret);
}

/* ---- clients of a tcp endpoint ---- */

enum { NO_KEY = -2, OWN_KEY = -1 }; /* in place of roles */

struct rogue {
    const char *name;
    int roles;
    uint8_t front[8], back[4]; /* what it says there: types, FRAME, 0 at the end */
    uint32_t may_hear;         /* bits of types */
};
enum { FRAME = 100 };

#define FRONT_ALL                                                                                  \
    {                                                                                              \
        MESSAGE_HELLO, FRAME, MESSAGE_DESCRIBE, MESSAGE_END, MESSAGE_BYE, MESSAGE_ASK,             \
            MESSAGE_REPORT                                                                         \
    }
#define BACK_ALL                                                                                   \
    {                                                                                              \
        MESSAGE_ATTACH, MESSAGE_BYE, MESSAGE_REPORT                                                \
    }

static const struct rogue rogues[] = {
    {"no_key", NO_KEY, FRONT_ALL, BACK_ALL, 0},
    {"own_key", OWN_KEY, FRONT_ALL, BACK_ALL, 0},
    {"reporter", KEYS_REPORT, FRONT_ALL, BACK_ALL, 0},
    {"watcher", KEYS_STATUS, FRONT_ALL, BACK_ALL, 1u << MESSAGE_TELL},
    /* of the front it might take a producer over */
    {"producer", KEYS_PRODUCE, {MESSAGE_ASK, MESSAGE_REPORT}, BACK_ALL, 0},
    /* of the back it might take the sink's place */
    {"sink", KEYS_SINK, FRONT_ALL, {MESSAGE_REPORT}, 0},
};
enum { ROGUES = sizeof rogues / sizeof rogues[0] };

static pid_t rogue_pid[ROGUES];
static uint32_t *heard; /* shared: bits of the types that each heard, FRAME's is bit 31 */

static size_t words(uint8_t type, const char *name, uint8_t *out)
{
    static uint8_t raw[1 << 18];
    struct message m = {.type = type, .stream = stream_key("test"), .share_count = 1};
    if (type == FRAME) {
        struct frame_header h = {.stream = m.stream,
                                 .number = 1,
                                 .epoch = 1,
                                 .rows = 1000,
                                 .width = 64,
                                 .dtype = DTYPE_BF16};
        if (frame_seal(&h, raw, out + FRAME_HEADER_BYTES, NULL)) _exit(3);
        frame_encode(&h, out);
        return FRAME_HEADER_BYTES + h.packed_bytes;
    }
    if (type == MESSAGE_BYE) m.flags = MESSAGE_ENDED;
    if (type == MESSAGE_HELLO || type == MESSAGE_ATTACH || type == MESSAGE_REPORT)
        snprintf(m.name, sizeof m.name, "rogue-%s", name);
    if (type == MESSAGE_HELLO || type == MESSAGE_DESCRIBE || type == MESSAGE_REPORT) m.text = "{}";
    m.text_bytes = m.text ? 2 : 0;
    if (message_encode(&m, out)) _exit(3);
    return message_bytes(&m);
}

static void on_word(void *arg, struct link *link, struct link_message *message)
{
    struct message m;
    size_t bytes;
    uint32_t *own = arg;
    (void)link;
    const uint8_t *data = link_data(message, link_parts(message) - 1, &bytes);
    if (message_is_frame(data, bytes))
        *own |= 1u << 31;
    else
        *own |= message_decode(data, bytes, &m) == ERR_OK ? 1u << m.type : 1u;
}

static void say(const struct rogue *r, struct link *link, const uint8_t *types, size_t most)
{
    static uint8_t data[1 << 19];
    for (size_t i = 0; i < most && types[i]; i++)
        (void)link_send(link, NULL, NULL, 0, data, words(types[i], r->name, data));
}

/* Both sides, ten times a second, for ever. */
static void act_as(const struct rogue *r, uint32_t *own, const struct link_security *security)
{
    uv_loop_t loop;
    struct link_hub *hub;
    struct link *side[2];
    log_open("rogue", LOG_ERROR);
    uv_loop_init(&loop);
    if (link_hub_open(&loop, &hub)) _exit(4);
    for (int i = 0; i < 2; i++) {
        struct link_options options = {.kind = LINK_DEALER,
                                       .endpoint = endpoints[i],
                                       .security = r->roles == NO_KEY ? NULL : security,
                                       .insecure_tcp = 1,
                                       .on_message = on_word,
                                       .arg = own};
        if (link_open(hub, &options, &side[i])) _exit(4);
    }
    for (;;) {
        say(r, side[0], r->front, sizeof r->front);
        say(r, side[1], r->back, sizeof r->back);
        for (int i = 0; i < 20; i++) {
            uv_run(&loop, UV_RUN_NOWAIT);
            usleep(5000);
        }
    }
}

/* Its key, which the list has where it has roles. */
static struct link_security key_of(const struct run *run, const struct rogue *r)
{
    struct link_security s = {.allow = NULL};
    char path[PATH_ROOM];
    in_test(run, "keys/broker.pub", path);
    assert_int_equal(keys_read_public(path, s.server), ERR_OK);
    assert_int_equal(keys_make(&s.own), ERR_OK);
    in_test(run, "keys/allow", path);
    if (r->roles > 0)
        assert_int_equal(keys_allow_add(path, r->name, (uint32_t)r->roles, s.own.public_key),
                         ERR_OK);
    return s;
}

static void begin_rogues(const struct link_security *security)
{
    for (int i = 0; i < ROGUES; i++) {
        rogue_pid[i] = fork();
        if (rogue_pid[i] == 0) act_as(&rogues[i], &heard[i], &security[i]);
    }
}

static void end_rogues(void)
{
    for (int i = 0; i < ROGUES; i++)
        if (rogue_pid[i] > 0) kill(rogue_pid[i], SIGKILL);
    for (int i = 0; i < ROGUES; i++)
        if (rogue_pid[i] > 0) waitpid(rogue_pid[i], NULL, 0);
    memset(rogue_pid, 0, sizeof rogue_pid);
}

/* A page of a process; NULL while there is none. */
static char *page(const struct run *run, const char *name, const char *path)
{
    char file[PATH_ROOM], *address, *body;
    size_t bytes;
    snprintf(file, sizeof file, "%s/http/%s", run->state, name);
    if (file_read(file, 256, &address, &bytes)) return NULL;
    address[strcspn(address, "\r\n")] = '\0';
    int result = fetch(address, path, 2000, &body, &bytes);
    free(address);
    return result ? NULL : body;
}

/* The broker's document, once the one that may report is in it. */
static char *await_reporter(const struct run *run)
{
    double end = harness_seconds() + 40;
    for (;;) {
        char *text = page(run, "broker", "/api/status");
        if (text && strstr(text, "rogue-reporter")) return text;
        free(text);
        if (harness_seconds() > end) fail_msg("no report of who may");
        harness_sleep(0.1);
    }
}

/* Nobody but who may report is in it. */
static void only_reporters_are_known(const struct run *run)
{
    char *text = await_reporter(run), name[64];
    for (int i = 0; i < ROGUES; i++) {
        snprintf(name, sizeof name, "\"rogue-%s\"", rogues[i].name);
        int is_there = strstr(text, name) != NULL, may = rogues[i].roles == KEYS_REPORT;
        if (is_there != may) fail_msg("%s is %s: %s", name, may ? "missing" : "there", text);
    }
    free(text);
}

/* The run beside them ends exactly, and what they hear is what their role lets them. */
static void keys_and_roles_bound_clients(void **state)
{
    struct run *run = *state;
    struct link_security security[ROGUES];
    heard = mmap(NULL, ROGUES * sizeof *heard, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    assert_true(heard != MAP_FAILED);
    memset(heard, 0, ROGUES * sizeof *heard);
    configure_tcp(run);
    for (int i = 0; i < ROGUES; i++) security[i] = key_of(run, &rogues[i]);
    pid_t up = run_start(run, "up", "sluice", "up", run->config, NULL);
    run_await_process(run, "broker", 60);
    begin_rogues(security);
    run_await_drawn(run, "main", 1000, 60);
    run_hold(run, "trainer-main");
    only_reporters_are_known(run);
    run_let_go(run, "trainer-main");
    int code = run_wait(up, 120);
    end_rogues();
    for (int i = 0; i < ROGUES; i++)
        if (heard[i] != rogues[i].may_hear)
            fail_msg("%s heard %#x, not %#x", rogues[i].name, heard[i], rogues[i].may_hear);
    assert_int_equal(code, 0);
    assert_true(run_counts_are(run, "main", ROWS, 1));
    char *log = run_text(run, "log/broker.log", NULL);
    assert_non_null(log);
    harness_has(log, "its key is not in the allow-list");
    harness_has(log, "not_allowed");
    free(log);
    munmap(heard, ROGUES * sizeof *heard);
}

/* ---- what people are shown ---- */

static const char *const shown[][2] = {
    {"broker", "/metrics"}, {"broker", "/api/status"},    {"broker", "/api/history"},
    {"sink", "/metrics"},   {"capture-0", "/metrics"},    {"trainer-main", "/metrics"},
    {"broker", "/healthz"}, {"trainer-main", "/healthz"}, {"capture-0", "/readyz"}};
enum { SHOWN = sizeof shown / sizeof shown[0] };

/* How many of the pages, but for those of process `besides`, were never there; each is read. */
static int look_at_pages(const struct run *run, const char *besides, int *seen,
                         const char *const *texts)
{
    int missing = 0;
    for (int i = 0; i < SHOWN; i++) {
        if (strcmp(shown[i][0], besides) == 0) continue;
        char *text = page(run, shown[i][0], shown[i][1]);
        seen[i] += text != NULL;
        for (int t = 0; text && texts[t]; t++) harness_has_not(text, texts[t]);
        free(text);
        missing += !seen[i] && strcmp(shown[i][1], "/readyz") != 0;
    }
    harness_sleep(0.1);
    return missing;
}

/* Each page was seen while that process is held. */
static void see_pages_without(const struct run *run, const char *held, int *seen,
                              const char *const *texts)
{
    double end = harness_seconds() + 120;
    while (look_at_pages(run, held, seen, texts))
        if (harness_seconds() > end) fail_msg("a page was never there, but for those of %s", held);
}

/* Until `up` has ended, no page has one of the texts; each page was seen. The run cannot end before: one
 * of its ends is held, and the buffer does not hold all rows. */
static void pages_hold_none(const struct run *run, pid_t up, const char *const *texts)
{
    int seen[SHOWN] = {0}, status;
    run_hold(run, "trainer-main");
    see_pages_without(run, "trainer-main", seen, texts);
    run_hold(run, "capture-0");
    run_let_go(run, "trainer-main");
    see_pages_without(run, "capture-0", seen, texts);
    run_let_go(run, "capture-0");
    double end = harness_seconds() + 120;
    while (waitpid(up, &status, WNOHANG) == 0) {
        if (harness_seconds() > end) fail_msg("it takes too long");
        look_at_pages(run, "", seen, texts);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("sluice up failed");
    for (int t = 0; texts[t]; t++) nothing_holds(run, texts[t]);
}

enum { FILE_ROWS = 300000, WIDTH = 16, TOKEN = 1876543210 };

/* Rows whose values, and tokens whose ids, look like nothing else. */
static void write_rows(const char *path)
{
    static float rows[FILE_ROWS * WIDTH];
    static int64_t tokens[FILE_ROWS];
    char header[512];
    uint64_t bytes;
    for (int i = 0; i < FILE_ROWS * WIDTH; i++) rows[i] = i % 3 ? 61803.25f : -31415.875f;
    for (int i = 0; i < FILE_ROWS; i++) {
        rows[i * WIDTH + i % WIDTH] = 27182.75f;
        tokens[i] = TOKEN;
    }
    int n = snprintf(header, sizeof header,
                     "{\"acts\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[0,%zu]},"
                     "\"tokens\":{\"dtype\":\"I64\",\"shape\":[%d],\"data_offsets\":[%zu,%zu]}}",
                     FILE_ROWS, WIDTH, sizeof rows, FILE_ROWS, sizeof rows,
                     sizeof rows + sizeof tokens);
    bytes = (uint64_t)n;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(&bytes, sizeof bytes, 1, file);
    fwrite(header, 1, bytes, file);
    fwrite(rows, sizeof rows, 1, file);
    fwrite(tokens, sizeof tokens, 1, file);
    assert_int_equal(fclose(file), 0);
}

static void make_input(const struct run *run, char *path)
{
    in_test(run, "input", path);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void no_row_is_shown(void **state)
{
    static const char *const texts[] = {"61803.2", "6.1803",  "31415.8",    "3.14158",
                                        "27182.7", "2.71827", "1876543210", NULL};
    struct run *run = *state;
    char path[PATH_ROOM], text[2 * PATH_ROOM];
    make_input(run, path);
    in_test(run, "input/rows.safetensors", path);
    write_rows(path);
    snprintf(text, sizeof text,
             "capture: { engine: files, files: [\"%s\"], tensor: acts, tokens_tensor: tokens,\n"
             "           file_sequence_rows: 64 }\n"
             "sink: { size: 16MiB }\n"
             "trainer: { batch_rows: 256, eval_rows: 2000, reuse: 4,\n"
             "           saes: [ { name: one, arch: topk, features: 32, k: 4 } ] }\n",
             path);
    run_configure(run, "dtype: f32", text);
    pages_hold_none(run,
                    run_start(run, "up", "sluice", "up", run->config, "--log-level", "debug", NULL),
                    texts);
}

static void no_text_is_shown(void **state)
{
    static const char *const texts[] = {"Xylophone", "quinquereme", NULL};
    struct run *run = *state;
    char path[PATH_ROOM], text[2 * PATH_ROOM];
    make_input(run, path);
    in_test(run, "input/corpus.txt", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 2000; i++)
        fprintf(file, "Xylophone %d was heard on the quinquereme of Nineveh by number %d.\n", i,
                i * i);
    assert_int_equal(fclose(file), 0);
    snprintf(text, sizeof text,
             "capture: { corpus: [\"%s\"], context_tokens: 64, exact_model: true }\n"
             "sink: { size: 16MiB }\n"
             "trainer: { batch_rows: 256, eval_rows: 1000,\n"
             "           saes: [ { name: one, arch: topk, features: 256, k: 4 } ] }\n",
             path);
    run_configure(run, "model: smollm2, hooks: [resid_post.0]", text);
    pages_hold_none(run,
                    run_start(run, "up", "sluice", "up", run->config, "--log-level", "debug", NULL),
                    texts);
}

static int tear_down(void **state)
{
    end_rogues();
    return run_tear_down(state);
}

#define test(f) cmocka_unit_test_setup_teardown(f, run_set_up, tear_down)

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        test(another_user),
        test(no_process_leaves_a_core),
        test(keys_that_others_have_are_refused),
        test(no_secret_is_shown),
        test(keys_and_roles_bound_clients),
        test(no_row_is_shown),
        test(no_text_is_shown),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
