/* The tap's socket: a program of its own (forked) serves it, and this one asks. */
#include "tap/control.h"

#include "base/err.h"
#include "proto/tap_folder.h"
#include "proto/tap_words.h"
#include "tap/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOBODY = 65534, PATH_BYTES = 256 };

static char runtime[PATH_BYTES / 2], folder[PATH_BYTES];

/* ---- what stands for the tap's core ---- */

static struct tap_settings now = {.share = 1};

static char steers[64];
static int keeps;

int tap_set(const struct tap_change *change, char *text, size_t bytes)
{
    const struct tap_settings *s = change->settings;
    if (s && s->hooks_count && strcmp(s->hooks[0], "resid_post.99") == 0) {
        snprintf(text, bytes, "the model has no layer 99");
        return ERR_USAGE;
    }
    if (change->steer && strcmp(change->steer, "/absent") == 0) {
        snprintf(text, bytes, "there is no /absent");
        return ERR_NOTFOUND;
    }
    if (s) now = *s;
    if (change->steer) snprintf(steers, sizeof steers, "%s", change->steer);
    if (change->steer) keeps = change->keeps_steered;
    return ERR_OK;
}

void tap_settings_now(struct tap_settings *settings)
{
    *settings = now;
}

void tap_status(struct tap_status *status)
{
    snprintf(status->steers, sizeof status->steers, "%s", steers);
    status->keeps_steered = keeps;
    status->stale_tokens = 77;
    status->unsteered_passes = 78;
    status->adapted_rows = 79;
    status->contexts = 3;
    snprintf(status->model_file, sizeof status->model_file, "/models/a\nb.gguf");
    status->counters.written_rows = 1234567890123;
}

/* ---- the program that is tapped ---- */

struct host {
    pid_t pid;
    int until[2]; /* what it is told by a byte: see below */
    int told[2];
};

static int make_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(runtime, sizeof runtime, "%s/tap-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(runtime) || setenv("XDG_RUNTIME_DIR", runtime, 1) != 0) return -1;
    snprintf(folder, sizeof folder, "%s/sluice/tap", runtime);
    return 0;
}

static int drop_folder(void **state)
{
    char command[PATH_BYTES + 16];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", runtime);
    return system(command);
}

/* What it can be told. */
enum { END = 'e', SIGNAL = 's', FORK = 'f', OWN = 'o', ALL = 'a' };

/* A child that lives until it is killed, and says when it is done with the socket. */
static void fork_one(int told, char byte)
{
    if (fork() != 0) return;
    control_stop();
    if (write(told, &byte, 1) != 1) _exit(9);
    for (;;) pause();
}

/* What another process of this number serves, in another container. */
static int has_a_namesake;

static void serve_as_namesake(void)
{
    struct sockaddr_un address;
    char made[PATH_BYTES], name[TAP_NAME_BYTES];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(name, sizeof name, "%d", (int)getpid());
    if (tap_folder_make(made, sizeof made) != ERR_OK ||
        tap_folder_address(made, name, TAP_SOCKET_SUFFIX, &address) != ERR_OK ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1) != 0)
        _exit(9);
}

/* ---- a program that gives the tap's numbers to files of its own ---- */

enum { NUMBERS = 64 };
static int own_listener = -1, is_own[NUMBERS];

static int listens(int fd)
{
    int on = 0;
    socklen_t bytes = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &bytes) == 0 && on;
}

static void take_number(int fd, int number)
{
    if (dup2(fd, number) != number) _exit(9);
    is_own[number] = 1;
}

/* The tap's listener's, for a socket that somebody waits at. */
static void take_listener(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX}; /* autobind */
    socklen_t bytes = sizeof address.sun_family;
    int own = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int waits = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), number = -1;
    if (bind(own, (struct sockaddr *)&address, bytes) != 0) _exit(9);
    for (int fd = 3; fd < NUMBERS; fd++)
        if (listens(fd)) number = fd;
    bytes = sizeof address;
    if (number < 0 || listen(own, 1) != 0 ||
        getsockname(own, (struct sockaddr *)&address, &bytes) != 0 ||
        connect(waits, (struct sockaddr *)&address, bytes) != 0)
        _exit(9);
    take_number(own, number);
    own_listener = own;
    is_own[own] = is_own[waits] = 1;
}

/* All others', but for the pipes to the test; each a socket that a word could be written to. */
static void take_all(const struct host *host)
{
    int own[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, own) != 0) _exit(9);
    is_own[own[0]] = is_own[own[1]] = 1;
    for (int fd = 3; fd < NUMBERS; fd++)
        if (!is_own[fd] && fd != host->until[0] && fd != host->told[1] && fcntl(fd, F_GETFD) >= 0)
            take_number(own[1], fd);
    own_listener = own_listener < 0 ? own[0] : own_listener;
}

/* Whether they are as they were: 0, or an exit code. */
static int look_at_own(void)
{
    char byte;
    for (int fd = 0; fd < NUMBERS; fd++)
        if (is_own[fd] && fcntl(fd, F_GETFD) < 0) return 7;
    if (own_listener < 0) return 0;
    if (listens(own_listener)) return accept(own_listener, NULL, NULL) < 0 ? 6 : 0;
    return recv(own_listener, &byte, 1, MSG_DONTWAIT) >= 0 ? 5 : 0;
}

static void live(struct host *host)
{
    sigset_t usr1;
    if (has_a_namesake) serve_as_namesake();
    char byte = (char)control_start();
    control_start(); /* does nothing more */
    if (write(host->told[1], &byte, 1) != 1) _exit(9);
    while (read(host->until[0], &byte, 1) == 1 && byte != END) {
        sigemptyset(&usr1);
        sigaddset(&usr1, SIGUSR1);
        if (byte == SIGNAL) {
            sigprocmask(SIG_BLOCK, &usr1, NULL); /* so that only another thread could take it */
            kill(getpid(), SIGUSR1);
        }
        if (byte == OWN) take_listener();
        if (byte == ALL) take_all(host);
        if (byte == FORK)
            fork_one(host->told[1], byte);
        else if (write(host->told[1], &byte, 1) != 1)
            _exit(9);
    }
    control_stop();
    _exit(byte == END ? look_at_own() : 8);
}

/* Start one; what control_start() said. */
static int host_start(struct host *host)
{
    char byte = -1;
    assert_int_equal(pipe(host->until), 0);
    assert_int_equal(pipe(host->told), 0);
    host->pid = fork();
    if (host->pid == 0) {
        setpgid(0, 0);
        close(host->until[1]);
        live(host);
    }
    setpgid(host->pid, host->pid);
    close(host->until[0]);
    close(host->told[1]);
    assert_int_equal(read(host->told[0], &byte, 1), 1);
    return byte;
}

static void host_tell(const struct host *host, char what)
{
    char byte;
    assert_int_equal(write(host->until[1], &what, 1), 1);
    assert_int_equal(read(host->told[0], &byte, 1), 1);
}

static int host_end(const struct host *host)
{
    int status;
    char end = END;
    if (write(host->until[1], &end, 1) != 1) return -1;
    waitpid(host->pid, &status, 0);
    killpg(host->pid, SIGKILL); /* what it forked */
    close(host->until[1]);
    close(host->told[0]);
    return status;
}

/* ---- who asks ---- */

/* The name of its socket, for tap_folder_address(); "": it has none. */
static void name_of(const struct host *host, char name[TAP_NAME_BYTES])
{
    char found[TAP_NAME_BYTES];
    DIR *dir = opendir(folder);
    name[0] = '\0';
    if (!dir) return;
    for (struct dirent *e; (e = readdir(dir));)
        if (tap_folder_process(e->d_name, TAP_SOCKET_SUFFIX, found) == host->pid &&
            (strchr(found, '-') || !name[0]))
            memcpy(name, found, TAP_NAME_BYTES);
    closedir(dir);
}

static int reach(const struct host *host)
{
    struct sockaddr_un address;
    char name[TAP_NAME_BYTES];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    name_of(host, name);
    assert_int_equal(tap_folder_address(folder, name, TAP_SOCKET_SUFFIX, &address), ERR_OK);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    close(fd);
    return -1;
}

/* What it says, until it closes; "" if it says nothing for 10 s. */
static void hear(int fd, char *answer, size_t room)
{
    size_t bytes = 0;
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    while (bytes + 1 < room && poll(&polled, 1, 10000) == 1) {
        ssize_t n = read(fd, answer + bytes, room - 1 - bytes);
        if (n <= 0) break;
        bytes += (size_t)n;
    }
    answer[bytes] = '\0';
    close(fd);
}

static const char *ask(const struct host *host, const char *request)
{
    static char answer[2 * TAP_ANSWER_BYTES];
    int fd = reach(host);
    assert_true(fd >= 0);
    assert_true(send(fd, request, strlen(request), MSG_NOSIGNAL) > 0);
    hear(fd, answer, sizeof answer);
    return answer;
}

#define STATUS "sluice-tap: 1\ndo: status\n\n"

static void has(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("no \"%s\" in \"%s\"", part, text);
}

/* ---- tests ---- */

static void it_tells_how_it_is(void **state)
{
    struct host host;
    (void)state;
    assert_int_equal(host_start(&host), ERR_OK);
    const char *answer = ask(&host, STATUS);
    assert_int_equal(strncmp(answer, "sluice-tap: 1\nresult: ok\npid: ", 30), 0);
    has(answer, "\nprogram: test_control\n");
    has(answer, "\nmodel_file: /models/a b.gguf\n"); /* one line, whatever is in it */
    has(answer, "\ncontexts: 3\n");
    has(answer, "\ncaptured_rows: 1234567890123\n");
    has(answer, "\non: no\n");
    has(answer, "\nrefused_requests: 0\n\n");
    assert_int_equal(host_end(&host), 0);
}

static void it_is_told_what_to_do(void **state)
{
    struct host host;
    (void)state;
    assert_int_equal(host_start(&host), ERR_OK);
    has(ask(&host, "sluice-tap: 1\ndo: set\nstream: live\nhooks: resid_post.3,mlp_out.4\n"
                   "share: 0.25\nrows_per_second: 500\nbytes_per_second: 4096\non: yes\n\n"),
        "result: ok\n");
    const char *answer = ask(&host, STATUS);
    has(answer, "\nstream: live\nhooks: resid_post.3,mlp_out.4\nshare: 0.25\n"
                "rows_per_second: 500\nbytes_per_second: 4096\n");
    has(answer, "\non: yes\n");
    assert_int_equal(host_end(&host), 0);
}

/* Steering needs no stream, and settings no steering. */
static void it_is_told_what_to_steer(void **state)
{
    (void)state;
    struct host host;
    assert_int_equal(host_start(&host), ERR_OK);
    const char *answer = ask(&host, "sluice-tap: 1\ndo: set\nsteer: /table\nkeep_steered: yes\n\n");
    has(answer, "\nsteers: /table\n");
    has(answer, "\nkeeps_steered: yes\n");
    has(answer, "\nstale_tokens: 77\n");
    has(answer, "\nunsteered_passes: 78\n");
    has(answer, "\nadapted_rows: 79\n");
    has(ask(&host, "sluice-tap: 1\ndo: set\nsteer: /absent\n\n"), "why: there is no /absent\n");
    has(ask(&host, STATUS), "\nsteers: /table\n");
    has(ask(&host, "sluice-tap: 1\ndo: set\nshare: 0.5\nsteer: /absent\n\n"), "/absent\n");
    has(ask(&host, "sluice-tap: 1\ndo: set\nshare: 0.5\nkeep_steered: no\n\n"), "goes with");
    has(ask(&host, STATUS), "\nshare: 1\n"); /* nothing was changed */
    has(ask(&host, "sluice-tap: 1\ndo: set\nkeep_steered: no\n\n"), "result: refused\n");
    has(ask(&host, "sluice-tap: 1\ndo: set\nshare: 0.5\nsteer: \n\n"), "\nsteers: \n");
    assert_int_equal(host_end(&host), 0);
}

/* And nothing is changed by it. */
static void what_makes_no_sense_is_refused(void **state)
{
    static const struct {
        const char *lines, *why;
    } all[] = {
        {"share: 2\n", "share: '2' is not a number from 1e-09 to 1"},
        {"share: nan\n", "share: 'nan'"},
        {"share: 0.5\nrows_per_second: -1\n", "rows_per_second: '-1'"},
        {"stream: ../x\n", "stream: '../x' is no name"},
        {"stream: live\non: yes\n", "no hook is named"},
        {"hooks: a\non: yes\n", "no stream is named"},
        {"hooks: a,,b\n", "is no hook's name"},
        {"on: perhaps\n", "'perhaps' is neither yes nor no"},
        {"colour: red\n", "this tap knows no setting 'colour'"},
        {"folder: here\n", "is no folder's path from the root"},
        {"share: 0.5\nhooks: resid_post.99\n", "the model has no layer 99"},
    };
    struct host host;
    char request[512];
    (void)state;
    assert_int_equal(host_start(&host), ERR_OK);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        snprintf(request, sizeof request, "sluice-tap: 1\ndo: set\n%s\n", all[i].lines);
        const char *answer = ask(&host, request);
        has(answer, "result: refused\nwhy: ");
        has(answer, all[i].why);
        has(ask(&host, STATUS), "\non: no\nstream: \nhooks: \nshare: 1\nrows_per_second: 0\n");
    }
    assert_int_equal(host_end(&host), 0);
}

static void what_is_no_request_is_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } all[] = {
        {"\n", "the first line is not sluice-tap"},
        {"do: status\nsluice-tap: 1\n\n", "the first line is not sluice-tap"},
        {"sluice-tap: 2\ndo: status\n\n", "protocol 2 is asked for, and this tap speaks 1"},
        {"sluice-tap: 1x\ndo: status\n\n", "protocol 1x is asked for"},
        {"sluice-tap: 1\ndo: dance\n\n", "this tap does no 'dance'"},
        {"sluice-tap: 1\n\n", "this tap does no ''"},
        {"sluice-tap: 1\ndo: set\nshare\n\n", "a line that is not \"key: value\""},
        {"sluice-tap: 1\ndo: set\nshare: 1\nshare: 1\n\n", "\"share\" is there twice"},
    };
    struct host host;
    (void)state;
    assert_int_equal(host_start(&host), ERR_OK);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) has(ask(&host, all[i].text), all[i].why);
    has(ask(&host, STATUS), "result: ok\n");
    assert_int_equal(host_end(&host), 0);
}

static void a_request_is_bounded(void **state)
{
    struct host host;
    char request[2 * TAP_REQUEST_BYTES], answer[1024];
    (void)state;
    memset(request, 'x', sizeof request);
    assert_int_equal(host_start(&host), ERR_OK);
    int fd = reach(&host);
    send(fd, request, sizeof request, MSG_NOSIGNAL | MSG_DONTWAIT);
    hear(fd, answer, sizeof answer);
    assert_string_equal(answer, "");
    has(ask(&host, STATUS), "result: ok\n");
    assert_int_equal(host_end(&host), 0);
}

/* Who connects and is silent, or takes no answer, does not keep others out for ever. */
static void the_silent_are_not_waited_for(void **state)
{
    struct host host;
    (void)state;
    assert_int_equal(host_start(&host), ERR_OK);
    int silent = reach(&host), slow = reach(&host);
    assert_true(send(slow, "sluice-tap: 1\n", 14, MSG_NOSIGNAL) > 0);
    has(ask(&host, STATUS), "result: ok\n"); /* hear() waits for 10 s */
    close(silent);
    close(slow);
    assert_int_equal(host_end(&host), 0);
}

/* The program's end does not wait for whoever is silent. */
static void the_end_waits_for_nobody(void **state)
{
    struct host host;
    (void)state;
    assert_int_equal(host_start(&host), ERR_OK);
    int silent = reach(&host);
    assert_int_equal(host_end(&host), 0);
    close(silent);
    assert_int_equal(rmdir(folder), 0);
}

static void another_user_gets_no_word(void **state)
{
    struct host host;
    char path[PATH_BYTES + 32], answer[1024], name[TAP_NAME_BYTES];
    int status;
    (void)state;
    if (getuid() != 0) skip();
    assert_int_equal(host_start(&host), ERR_OK);
    /* as if the folder did not keep them out */
    name_of(&host, name);
    snprintf(path, sizeof path, "%s/%s.sock", folder, name);
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    snprintf(path, sizeof path, "%s/sluice", runtime);
    assert_int_equal(chmod(path, 0755), 0);
    assert_int_equal(chmod(runtime, 0755), 0);
    pid_t child = fork();
    if (child == 0) {
        if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0) _exit(3);
        int fd = reach(&host);
        if (fd < 0) _exit(2);
        send(fd, STATUS, strlen(STATUS), MSG_NOSIGNAL);
        hear(fd, answer, sizeof answer);
        _exit(answer[0] != '\0');
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    has(ask(&host, STATUS), "\nrefused_requests: 1\n");
    assert_int_equal(host_end(&host), 0);
}

static void signals_are_the_program_s(void **state)
{
    struct host host;
    (void)state;
    assert_int_equal(host_start(&host), ERR_OK);
    host_tell(&host, SIGNAL); /* SIGUSR1 would end it */
    has(ask(&host, STATUS), "result: ok\n");
    assert_int_equal(host_end(&host), 0);
}

static void a_forked_child_leaves_it_alone(void **state)
{
    struct host host;
    int status;
    (void)state;
    assert_int_equal(host_start(&host), ERR_OK);
    host_tell(&host, FORK);
    has(ask(&host, STATUS), "result: ok\n"); /* it has not taken the socket away */
    kill(host.pid, SIGKILL);
    waitpid(host.pid, &status, 0);
    assert_int_equal(reach(&host), -1); /* nor kept it open */
    assert_int_equal(errno, ECONNREFUSED);
    killpg(host.pid, SIGKILL);
    close(host.until[1]);
    close(host.told[0]);
}

/* One that closes what it does not know, and goes on with files of its own. */
static void numbers_that_are_the_program_s_are_left_alone(void **state)
{
    struct host host;
    char answer[64];
    (void)state;
    assert_int_equal(host_start(&host), ERR_OK);
    host_tell(&host, OWN);
    int fd = reach(&host); /* wakes the tap, which is not to take who waits at the program's */
    answer[0] = '\0';
    if (fd >= 0) hear(fd, answer, sizeof answer); /* unless it had not slept yet, and has seen it */
    assert_string_equal(answer, "");
    usleep(200000);
    host_tell(&host, ALL);
    assert_int_equal(host_end(&host), 0);
    assert_int_equal(host_start(&host), ERR_OK);
    host_tell(&host, ALL); /* amid its sleep */
    assert_int_equal(host_end(&host), 0);
}

static void it_goes_with_the_program(void **state)
{
    struct host host;
    (void)state;
    assert_int_equal(host_start(&host), ERR_OK);
    assert_int_equal(host_end(&host), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing is left in it */
}

static void it_is_the_user_s_alone(void **state)
{
    struct host host;
    struct stat st;
    char path[PATH_BYTES + 32], name[TAP_NAME_BYTES];
    (void)state;
    umask(0);
    assert_int_equal(host_start(&host), ERR_OK);
    name_of(&host, name);
    snprintf(path, sizeof path, "%s/%s.sock", folder, name);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(host_end(&host), 0);
}

/* A number is one process's in its own container alone. */
static void what_another_of_its_number_serves_stays(void **state)
{
    struct host host;
    struct stat before, after;
    char path[PATH_BYTES + 32];
    (void)state;
    has_a_namesake = 1;
    assert_int_equal(host_start(&host), ERR_OK);
    has_a_namesake = 0;
    snprintf(path, sizeof path, "%s/%d.sock", folder, (int)host.pid);
    assert_int_equal(stat(path, &before), 0);
    has(ask(&host, STATUS), "result: ok\n");
    assert_int_equal(host_end(&host), 0);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void names_of_sockets(void **state)
{
    char name[TAP_NAME_BYTES], again[TAP_NAME_BYTES], file[TAP_NAME_BYTES + 8];
    (void)state;
    tap_folder_name(name);
    tap_folder_name(again);
    assert_string_not_equal(name, again);
    snprintf(file, sizeof file, "%s.sock", name);
    assert_int_equal(tap_folder_process(file, ".sock", again), getpid());
    assert_string_equal(again, name);
    assert_int_equal(tap_folder_process("77.sock", ".sock", again), 77);
    assert_string_equal(again, "77");
    static const char *const none[] = {"77.new",           "-1.sock",
                                       "77-12345678",      "77-1234567.sock",
                                       "a-12345678.sock",  "77-123456789.sock",
                                       "99999999999.sock", "000000000000077-12345678.sock"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(tap_folder_process(none[i], ".sock", again), 0);
}

/* The folder must be ours alone; another one is taken where it is not. */
static void a_folder_that_is_not_ours_alone(void **state)
{
    char above[PATH_BYTES], other[PATH_BYTES];
    (void)state;
    snprintf(above, sizeof above, "%s/sluice", runtime);
    assert_int_equal(mkdir(above, 0700), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(tap_folder_check(folder), ERR_OK);
    assert_int_equal(chmod(folder, 0711), 0);
    assert_int_equal(tap_folder_check(folder), ERR_USAGE);
    has(err_text(), "others may enter it");
    assert_int_equal(chmod(folder, 0770), 0);
    assert_int_equal(tap_folder_check(folder), ERR_USAGE);
    has(err_text(), "can be written by others");
    assert_int_equal(rmdir(folder), 0);
    snprintf(other, sizeof other, "%s/other", runtime);
    assert_int_equal(mkdir(other, 0700), 0);
    assert_int_equal(symlink(other, folder), 0);
    assert_int_equal(tap_folder_check(folder), ERR_USAGE);
    has(err_text(), "is a symbolic link");
    assert_int_equal(unlink(folder), 0);
    if (getuid() == 0) {
        assert_int_equal(mkdir(folder, 0700), 0);
        assert_int_equal(chown(folder, NOBODY, NOBODY), 0);
        assert_int_equal(tap_folder_check(folder), ERR_USAGE);
        has(err_text(), "belongs to user 65534");
    }
}

/* Nobody serves in a folder that others can enter. */
static void nothing_is_served_where_others_come_in(void **state)
{
    char first[PATH_BYTES], made[PATH_BYTES];
    (void)state;
    assert_int_equal(tap_folder_path(0, first, sizeof first), ERR_OK);
    assert_string_equal(first, folder);
    assert_int_equal(tap_folder_make(made, sizeof made), ERR_OK);
    assert_string_equal(made, folder);
    assert_int_equal(chmod(folder, 0755), 0);
    if (tap_folder_make(made, sizeof made) == ERR_OK) assert_string_not_equal(made, folder);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_folder, drop_folder)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(it_tells_how_it_is),
        CASE(it_is_told_what_to_do),
        CASE(it_is_told_what_to_steer),
        CASE(what_makes_no_sense_is_refused),
        CASE(what_is_no_request_is_refused),
        CASE(a_request_is_bounded),
        CASE(the_silent_are_not_waited_for),
        CASE(the_end_waits_for_nobody),
        CASE(another_user_gets_no_word),
        CASE(signals_are_the_program_s),
        CASE(a_forked_child_leaves_it_alone),
        CASE(numbers_that_are_the_program_s_are_left_alone),
        CASE(it_goes_with_the_program),
        CASE(it_is_the_user_s_alone),
        CASE(what_another_of_its_number_serves_stays),
        CASE(names_of_sockets),
        CASE(a_folder_that_is_not_ours_alone),
        CASE(nothing_is_served_where_others_come_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
