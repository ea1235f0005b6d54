#include "cli/taps.h"

#include "base/clock.h"
#include "base/err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MS = 1000, NEW_SECONDS = 10, TABLE_SECONDS = 24 * 3600 };

/* ---- finding ---- */

static void judge_peer(struct tap *tap)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    if (getsockopt(tap->fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
        (peer.uid == geteuid() || peer.uid == 0))
        return;
    snprintf(tap->trouble, sizeof tap->trouble,
             "another user serves its socket, and nothing was said to it");
    close(tap->fd);
    tap->fd = -1;
}

/* 0: nobody serves it. */
static int reach(const struct sockaddr_un *address, struct tap *tap)
{
    tap->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (tap->fd >= 0 && connect(tap->fd, (const struct sockaddr *)address, sizeof *address) == 0) {
        judge_peer(tap);
        return 1;
    }
    int error = errno;
    if (tap->fd >= 0) close(tap->fd);
    tap->fd = -1;
    snprintf(tap->trouble, sizeof tap->trouble, "%s",
             error == EAGAIN ? "it does not answer: it is stopped, or busy with other requests"
                             : strerror(error));
    return error != ECONNREFUSED && error != ENOENT;
}

static void add(struct taps *taps, const char *folder, int pid, const char *name)
{
    struct sockaddr_un address;
    struct tap *tap = &taps->tap[taps->count];
    if (taps->count == TAPS_MOST ||
        tap_folder_address(folder, name, TAP_SOCKET_SUFFIX, &address) != ERR_OK)
        return;
    memset(tap, 0, sizeof *tap);
    tap->pid = pid;
    snprintf(tap->name, sizeof tap->name, "%s", name);
    snprintf(tap->full_name, sizeof tap->full_name, "%s", name);
    if (reach(&address, tap))
        taps->count++;
    else
        unlink(address.sun_path);
}

/* A program died before it served the socket: none is so slow. */
static void remove_old(const char *folder, const char *name)
{
    struct sockaddr_un address;
    struct stat st;
    if (tap_folder_address(folder, name, TAP_SOCKET_NEW, &address) == ERR_OK &&
        lstat(address.sun_path, &st) == 0 && st.st_mtime + NEW_SECONDS < time(NULL))
        unlink(address.sun_path);
}

/* Of a program that was to be steered, and made no context. */
static void remove_table(DIR *dir, const char *name)
{
    struct stat st;
    if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_mtime + TABLE_SECONDS < time(NULL))
        unlinkat(dirfd(dir), name, 0);
}

static void find_in(struct taps *taps, const char *folder)
{
    int result = tap_folder_check(folder);
    DIR *dir = result == ERR_OK ? opendir(folder) : NULL;
    if (result != ERR_OK && result != ERR_NOTFOUND)
        snprintf(taps->trouble, sizeof taps->trouble, "%s", err_text());
    if (!dir) return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char name[TAP_NAME_BYTES];
        int pid = tap_folder_process(entry->d_name, TAP_SOCKET_SUFFIX, name);
        if (pid) add(taps, folder, pid, name);
        if (tap_folder_process(entry->d_name, TAP_SOCKET_NEW, name)) remove_old(folder, name);
        if (strncmp(entry->d_name, TAP_TABLE, sizeof TAP_TABLE - 1) == 0)
            remove_table(dir, entry->d_name);
    }
    closedir(dir);
}

static int by_number(const void *a, const void *b)
{
    const struct tap *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

/* People know a process by its number, unless several have it. */
static void name_by_number(struct taps *taps)
{
    for (size_t i = 0; i < taps->count; i++) {
        struct tap *tap = &taps->tap[i];
        if ((i > 0 && tap[-1].pid == tap->pid) || (i + 1 < taps->count && tap[1].pid == tap->pid))
            continue;
        snprintf(tap->name, sizeof tap->name, "%d", tap->pid);
    }
}

void taps_find(struct taps *taps)
{
    char folder[PATH_MAX];
    taps->count = 0;
    taps->trouble[0] = '\0';
    for (unsigned n = 0; n < TAP_FOLDERS; n++)
        if (tap_folder_path(n, folder, sizeof folder) == ERR_OK) find_in(taps, folder);
    qsort(taps->tap, taps->count, sizeof *taps->tap, by_number);
    name_by_number(taps);
}

static void drop(struct tap *tap)
{
    if (tap->fd >= 0) close(tap->fd);
    tap->fd = -1;
    free(tap->answer);
    tap->answer = NULL;
}

void taps_close(struct taps *taps)
{
    for (size_t i = 0; i < taps->count; i++) drop(&taps->tap[i]);
    taps->count = 0;
}

/* ---- choosing ---- */

/* The name of a process, for people. */
static void name_of(int pid, char *name, size_t bytes)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    FILE *in = fopen(path, "re");
    if (!in || !fgets(name, (int)bytes, in)) snprintf(name, bytes, "?");
    if (in) fclose(in);
    name[strcspn(name, "\n")] = '\0';
}

/* Of this number; 0: of any. */
static int several(const struct taps *taps, long pid)
{
    char all[512] = "", name[64];
    size_t used = 0;
    for (size_t i = 0; i < taps->count && used < sizeof all; i++) {
        if (pid && taps->tap[i].pid != pid) continue;
        name_of(taps->tap[i].pid, name, sizeof name);
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s (%s)", used ? ", " : "",
                                 taps->tap[i].name, name);
    }
    return err_set(ERR_USAGE, "several programs are tapped; HINT: say which, or all: %s", all);
}

static int keep_one(struct taps *taps, size_t which)
{
    struct tap kept = taps->tap[which];
    for (size_t i = 0; i < taps->count; i++)
        if (i != which) drop(&taps->tap[i]);
    taps->tap[0] = kept;
    taps->count = 1;
    return ERR_OK;
}

int taps_choose(struct taps *taps, const char *which)
{
    if (taps->count == 0)
        return err_set(ERR_NOTFOUND, "%s%sno program is tapped; HINT: sluice tap FILE -- PROGRAM",
                       taps->trouble, taps->trouble[0] ? "; " : "");
    if (!which && taps->count > 1) return several(taps, 0);
    if (!which || strcmp(which, "all") == 0) return ERR_OK;
    char name[TAP_NAME_BYTES];
    int pid = tap_folder_process(which, "", name);
    if (!pid)
        return err_set(ERR_USAGE, "'%.40s' is no number of a process; HINT: sluice tap list",
                       which);
    for (size_t i = 0; i < taps->count; i++)
        if (strcmp(taps->tap[i].name, name) == 0 || strcmp(taps->tap[i].full_name, name) == 0)
            return keep_one(taps, i);
    for (size_t i = 0; i < taps->count; i++)
        if (taps->tap[i].pid == pid && !strchr(name, '-')) return several(taps, pid);
    return err_set(ERR_NOTFOUND, "process %s is not tapped; HINT: sluice tap list", name);
}

/* ---- asking ---- */

static int write_request(const struct tap_told *told, char *text, size_t *bytes)
{
    struct lines_out out = {.text = text, .room = TAP_REQUEST_BYTES};
    lines_printf(&out, TAP_HELLO, "%d", TAP_PROTOCOL);
    lines_put(&out, TAP_DO, told ? TAP_SET : TAP_STATUS);
    for (size_t i = 0; told && i < told->count; i++)
        lines_put(&out, told->setting[i].name, told->setting[i].value);
    *bytes = out.bytes;
    int result = lines_end(&out);
    *bytes = out.bytes;
    return result;
}

static void fail(struct tap *tap, const char *why)
{
    snprintf(tap->trouble, sizeof tap->trouble, "%s", why);
    drop(tap);
}

/* What it says is there as a whole: is it an answer? */
static void take_answer(struct tap *tap, size_t bytes)
{
    char *end;
    if (lines_read(tap->answer, bytes, &tap->lines) != ERR_OK ||
        !lines_get(&tap->lines, TAP_HELLO)) {
        fail(tap, "what it says is no tap's answer");
        return;
    }
    const char *protocol = lines_get(&tap->lines, TAP_HELLO);
    if (strtol(protocol, &end, 10) != TAP_PROTOCOL || *end) {
        snprintf(tap->trouble, sizeof tap->trouble,
                 "its tap is another version's (it speaks protocol %.20s, this sluice %d); HINT: "
                 "start it again with this one, or use the sluice that it was started with",
                 protocol, TAP_PROTOCOL);
    } else if (strcmp(tap_says(tap, TAP_RESULT), TAP_OK) != 0) {
        snprintf(tap->trouble, sizeof tap->trouble, "%s", tap_says(tap, TAP_WHY));
    }
}

static void hear(struct tap *tap, int64_t deadline_ms)
{
    size_t bytes = 0, whole = 0;
    tap->answer = malloc(TAP_ANSWER_BYTES);
    if (!tap->answer) {
        fail(tap, "no memory for its answer");
        return;
    }
    while (!whole && bytes < TAP_ANSWER_BYTES) {
        struct pollfd polled = {.fd = tap->fd, .events = POLLIN};
        int64_t left = deadline_ms - clock_steady_ms();
        if (poll(&polled, 1, left > 0 ? (int)left : 0) <= 0) break;
        ssize_t n = read(tap->fd, tap->answer + bytes, TAP_ANSWER_BYTES - bytes);
        if (n <= 0) break;
        bytes += (size_t)n;
        whole = lines_whole(tap->answer, bytes);
    }
    if (whole)
        take_answer(tap, whole);
    else
        fail(tap, "it does not answer: it is stopped, or busy with other requests");
}

int taps_ask(struct taps *taps, const struct tap_told *told)
{
    char request[TAP_REQUEST_BYTES];
    size_t bytes;
    int result = write_request(told, request, &bytes);
    if (result != ERR_OK) return result;
    int64_t deadline_ms = clock_steady_ms() + ANSWER_MS;
    for (size_t i = 0; i < taps->count; i++) {
        struct tap *tap = &taps->tap[i];
        if (tap->fd >= 0 && send(tap->fd, request, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
            fail(tap, "it takes no request");
    }
    for (size_t i = 0; i < taps->count; i++)
        if (taps->tap[i].fd >= 0) hear(&taps->tap[i], deadline_ms);
    return ERR_OK;
}

const char *tap_says(const struct tap *tap, const char *key)
{
    const char *value = tap->answer ? lines_get(&tap->lines, key) : NULL;
    return value ? value : "";
}
