#include "tap/control.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/held.h"
#include "proto/lines.h"
#include "proto/tap_folder.h"
#include "proto/tap_words.h"
#include "tap/answer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 8, STACK_BYTES = 256 << 10, LAST_MS = 100 };

static struct {
    pthread_mutex_t lock; /* of starting and stopping */
    int was_tried;
    pid_t pid; /* that serves; a forked child has another */
    uid_t uid; /* whose folder it is, whoever the program becomes */
    struct held listener;
    struct held wake[2]; /* a byte into the second one ends the thread */
    pthread_t thread;
    char path[sizeof((struct sockaddr_un *)0)->sun_path]; /* "": no socket */
} control = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .listener = HELD_NONE, .wake = {HELD_NONE, HELD_NONE}};

/* ---- one connection ---- */

/* Wait until it can be read from or written to: 0, if that is not so by the deadline, or at the end. */
static int await(const struct held *peer, short events, int64_t deadline_ms)
{
    struct pollfd polled[2] = {{.fd = peer->fd, .events = events},
                               {.fd = control.wake[0].fd, .events = POLLIN}};
    int64_t left = deadline_ms - clock_steady_ms();
    int n = left > 0 ? poll(polled, 2, (int)left) : 0;
    if (n < 0 && errno == EINTR) return await(peer, events, deadline_ms);
    return n > 0 && polled[0].revents && !polled[1].revents && held_is(peer);
}

/* The bytes of a whole request; 0: it is too long, too late or broken off. */
static size_t receive(const struct held *peer, char *request, int64_t deadline_ms)
{
    size_t bytes = 0, whole = 0;
    while (!whole && bytes < TAP_REQUEST_BYTES && await(peer, POLLIN, deadline_ms)) {
        ssize_t n = recv(peer->fd, request + bytes, TAP_REQUEST_BYTES - bytes, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (n <= 0) return 0;
        bytes += (size_t)n;
        whole = lines_whole(request, bytes);
    }
    return whole == bytes ? whole : 0;
}

static void send_all(const struct held *peer, const char *text, size_t bytes, int64_t deadline_ms)
{
    while (bytes > 0 && await(peer, POLLOUT, deadline_ms)) {
        ssize_t n = send(peer->fd, text, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) return;
        if (n <= 0) continue;
        text += n;
        bytes -= (size_t)n;
    }
}

static int is_ours(int fd)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
           (peer.uid == control.uid || peer.uid == 0);
}

static void serve(const struct held *peer, uint64_t *refused)
{
    static char request[TAP_REQUEST_BYTES], out[TAP_ANSWER_BYTES]; /* of the one thread */
    int64_t deadline_ms = clock_steady_ms() + TAP_SECONDS * 1000;
    if (!is_ours(peer->fd)) {
        ++*refused;
        return;
    }
    size_t bytes = receive(peer, request, deadline_ms);
    if (bytes > 0) send_all(peer, out, answer_request(request, bytes, *refused, out), deadline_ms);
}

/* ---- the thread ---- */

static void *run(void *arg)
{
    uint64_t refused = 0;
    struct held peer;
    struct pollfd polled[2] = {{.fd = control.listener.fd, .events = POLLIN},
                               {.fd = control.wake[0].fd, .events = POLLIN}};
    (void)arg;
    for (;;) {
        if (poll(polled, 2, -1) < 0 && errno != EINTR) return NULL;
        if (polled[1].revents || !held_is(&control.listener)) return NULL;
        held_take(&peer, accept4(control.listener.fd, NULL, NULL, SOCK_CLOEXEC));
        if (peer.fd >= 0) {
            serve(&peer, &refused);
            held_close(&peer);
        } else if (errno != EINTR && errno != EAGAIN && errno != ECONNABORTED) {
            poll(&polled[1], 1, 1000); /* no descriptors left: not in a circle */
        }
    }
}

static int begin_thread(void)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return err_set(ERR_NOMEM, "no memory for a thread");
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a thread begins with its maker's mask */
    int failed = pthread_create(&control.thread, &attributes, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (failed) return err_set(ERR_NOMEM, "no thread for the tap's socket: %s", strerror(failed));
    pthread_setname_np(control.thread, "sluice-tap");
    return ERR_OK;
}

/* ---- the socket ---- */

static int fail(const char *what, const char *path)
{
    return err_set(ERR_IO, "the tap's socket cannot be %s at %s: %s", what, path, strerror(errno));
}

static int make_descriptors(const char *path)
{
    int wake[2] = {-1, -1};
    held_take(&control.listener, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (control.listener.fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wake) != 0)
        return fail("made", path);
    held_take(&control.wake[0], wake[0]);
    held_take(&control.wake[1], wake[1]);
    return ERR_OK;
}

/* Bound and served under another name first: whoever finds NAME.sock may ask it at once, or knows that
 * its program is gone. NAME is nobody else's, so that no socket is replaced. */
static int open_socket(void)
{
    char folder[sizeof control.path], name[TAP_NAME_BYTES];
    struct sockaddr_un new, named;
    int result = tap_folder_make(folder, sizeof folder);
    tap_folder_name(name);
    if (result == ERR_OK) result = tap_folder_address(folder, name, TAP_SOCKET_NEW, &new);
    if (result == ERR_OK) result = tap_folder_address(folder, name, TAP_SOCKET_SUFFIX, &named);
    if (result == ERR_OK) result = make_descriptors(new.sun_path);
    if (result != ERR_OK) return result;
    if (bind(control.listener.fd, (struct sockaddr *)&new, sizeof new) != 0)
        return fail("bound", new.sun_path);
    snprintf(control.path, sizeof control.path, "%s", new.sun_path);
    if (chmod(new.sun_path, 0600) != 0 || listen(control.listener.fd, BACKLOG) != 0)
        return fail("served", new.sun_path);
    if (rename(new.sun_path, named.sun_path) != 0) return fail("named", named.sun_path);
    snprintf(control.path, sizeof control.path, "%s", named.sun_path);
    return ERR_OK;
}

static void close_all(void)
{
    if (control.path[0]) unlink(control.path);
    held_close(&control.listener);
    held_close(&control.wake[0]);
    held_close(&control.wake[1]);
    control.path[0] = '\0';
}

/* A child has no thread that serves, and its parent's socket would seem to be served for as long as it
 * has it open. */
static void forget(void)
{
    pthread_mutex_init(&control.lock, NULL);
    control.path[0] = '\0';
    control.was_tried = 0;
    close_all();
}

static void hold(void)
{
    pthread_mutex_lock(&control.lock);
}

static void let_go(void)
{
    pthread_mutex_unlock(&control.lock);
}

static int start(void)
{
    static int is_told_of_forks;
    control.was_tried = 1;
    control.pid = getpid();
    control.uid = geteuid();
    if (!is_told_of_forks && pthread_atfork(hold, let_go, forget) != 0)
        return err_set(ERR_NOMEM, "no memory to be told of forks");
    is_told_of_forks = 1;
    int result = open_socket();
    if (result == ERR_OK) result = begin_thread();
    if (result != ERR_OK) close_all();
    return result;
}

int control_start(void)
{
    pthread_mutex_lock(&control.lock);
    int result = control.was_tried ? ERR_OK : start();
    pthread_mutex_unlock(&control.lock);
    return result;
}

void control_stop(void)
{
    struct timespec until;
    if (control.pid != getpid() || !control.path[0]) return;
    unlink(control.path);
    control.path[0] = '\0';
    if (held_is(&control.wake[1])) send(control.wake[1].fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LAST_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (pthread_timedjoin_np(control.thread, NULL, &until) == 0) close_all();
}
