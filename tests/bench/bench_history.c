/*
 * What it costs a broker to keep the history of a run and to tell pages of it: processor time for each
 * second of a run, without a listener and with 20, as a share of one core. Reports come as five processes
 * send them, with 2 and with 64 autoencoders.
 *
 *   bench_history [SECONDS]      of a run, which are gone through without waiting: 600
 *
 * Those who listen are a process of their own and take what comes; so what is measured is the broker's part.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "broker/curves.h"
#include "broker/history.h"
#include "broker/history_query.h"
#include "broker/status.h"
#include "runtime/http.h"
#include "runtime/log.h"

enum { LISTENERS = 20, REPORT_BYTES = 32 << 10, METRICS = 40 };

static char path[] = "/tmp/sluice-bench-history-XXXXXX";
static const char *const names[] = {"broker", "sink", "capture-0", "capture-1", "trainer-main"};
enum { PROCESSES = sizeof names / sizeof *names };

struct scene {
    struct status *status;
    struct history *history;
    struct http *http;
    uv_loop_t loop;
    unsigned saes;
    uint64_t second; /* of the run */
};

static void die(const char *what)
{
    fprintf(stderr, "bench_history: %s\n", what);
    exit(1);
}

static uint64_t now_ns(const struct scene *s)
{
    return (1000 + s->second) * UINT64_C(1000000000);
}

static void on_report(void *arg, const struct status_news *news)
{
    const struct scene *s = arg;
    curves_of_report(s->history, news, now_ns(s));
}

/* As many numbers as processes tell, and of a trainer those of its autoencoders. */
static size_t write_report(const struct scene *s, int process, char *text)
{
    static const char *const per_sae[] = {"sluice_trainer_loss", "sluice_trainer_fve_ratio",
                                          "sluice_trainer_l0", "sluice_trainer_dead_features",
                                          "sluice_trainer_features"};
    int n = sprintf(text,
                    "{\"sluice_process_start_time_seconds\":5,\"sluice_process_memory_bytes\":"
                    "%llu,\"sluice_process_cpu_seconds_total\":%llu",
                    (unsigned long long)(s->second + 1000000), (unsigned long long)s->second);
    for (int i = 0; i < METRICS; i++)
        n += sprintf(text + n, ",\"sluice_some_metric_%d_%s\":%llu", i, i % 2 ? "total" : "rows",
                     (unsigned long long)(s->second * (unsigned)(i + 1)));
    for (int m = 0; process == PROCESSES - 1 && m < 5; m++) {
        n += sprintf(text + n, ",\"%s\":{", per_sae[m]);
        for (unsigned i = 0; i < s->saes; i++)
            n += sprintf(text + n, "%s\"topk-%u\":%g", i ? "," : "", i,
                         1.5 + (double)(s->second % 100) / 7);
        n += sprintf(text + n, "}");
    }
    return (size_t)(n + sprintf(text + n, "}"));
}

static void pass_second(struct scene *s)
{
    static char text[REPORT_BYTES];
    struct overview overview;
    s->second++;
    for (int p = 0; p < PROCESSES; p++) {
        size_t bytes = write_report(s, p, text);
        if (status_report(s->status, NULL, names[p], text, bytes, now_ns(s))) die("no report");
    }
    status_tick(s->status, now_ns(s), &overview);
    curves_of_overview(s->history, &overview, now_ns(s));
    history_tick(s->history, 1800000000 + s->second, now_ns(s));
    if (!http_listeners(s->http)) return;
    char *document;
    size_t bytes;
    if (status_json(s->status, now_ns(s), &document, &bytes)) die("no document");
    http_send(s->http, "status", document, bytes);
    free(document);
    for (int i = 0; i < 20; i++) { /* until they have taken it */
        uv_run(&s->loop, UV_RUN_NOWAIT);
        usleep(200);
    }
}

static pid_t begin_listening(const char *address)
{
    pid_t child = fork();
    if (child != 0) return child;
    static const char request[] = "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static char taken[1 << 16];
    struct pollfd fds[LISTENERS];
    for (int i = 0; i < LISTENERS; i++) {
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        fds[i] = (struct pollfd){socket(AF_INET, SOCK_STREAM, 0), POLLIN, 0};
        if (connect(fds[i].fd, (struct sockaddr *)&to, sizeof to) != 0) _exit(1);
        if (send(fds[i].fd, request, sizeof request - 1, 0) < 0) _exit(1);
    }
    while (poll(fds, LISTENERS, 10000) > 0)
        for (int i = 0; i < LISTENERS; i++)
            if (fds[i].revents && recv(fds[i].fd, taken, sizeof taken, 0) <= 0) _exit(0);
    _exit(0);
}

static double cpu_seconds(void)
{
    return clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
}

/* Share of a core that `seconds` of a run take. */
static double share(struct scene *s, unsigned seconds)
{
    double begin = cpu_seconds();
    for (unsigned i = 0; i < seconds; i++) pass_second(s);
    return (cpu_seconds() - begin) / seconds;
}

static void open_scene(struct scene *s)
{
    static const struct http_handler handlers[] = {{.path = "/api/events", .is_stream = 1}};
    struct status_options status = {
        .stream = "bench", .advice = {.processors = 2}, .on_report = on_report, .arg = s};
    struct http_options http = {
        .address = "127.0.0.1:0", .handlers = handlers, .handlers_count = 1, .connections = 64};
    status.lives = NULL;
    if (history_open(path, "bench", &s->history) || status_new(&status, &s->status) ||
        uv_loop_init(&s->loop) || http_open(&s->loop, &http, &s->http))
        die("cannot begin");
}

static void ask_for_all(const struct scene *s)
{
    struct history_query query;
    char *text;
    size_t bytes;
    double begin = cpu_seconds();
    FILE *out = open_memstream(&text, &bytes);
    if (history_query_parse(s->history, NULL, "-3600", NULL, NULL, 1800000000 + s->second, &query))
        die("no history");
    history_query_write(s->history, &query, out);
    fclose(out);
    free(text);
    printf("  all series of the last hour: %.1f ms, %.0f KiB\n", 1e3 * (cpu_seconds() - begin),
           (double)bytes / 1024);
}

static void measure(unsigned saes, unsigned seconds)
{
    struct scene s = {.saes = saes};
    struct stat st;
    unlink(path);
    open_scene(&s);
    double alone = share(&s, seconds);
    pid_t child = begin_listening(http_address(s.http));
    for (int i = 0; i < 5000 && http_listeners(s.http) < LISTENERS; i++) {
        uv_run(&s.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    double told = share(&s, seconds / 4);
    stat(path, &st);
    printf("%u autoencoders, %u series: history and status %.3f %% of a core (target < 1); %zu "
           "listeners %.3f %% more (target < 2); file %.1f MiB\n",
           saes, history_count(s.history), 100 * alone, http_listeners(s.http),
           100 * (told - alone), (double)st.st_size / (1 << 20));
    ask_for_all(&s);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    http_close(s.http);
    uv_run(&s.loop, UV_RUN_DEFAULT);
    uv_loop_close(&s.loop);
    status_free(s.status);
    history_close(s.history);
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 600;
    int fd = mkstemp(path);
    if (fd < 0 || seconds < 4) die("cannot begin");
    close(fd);
    signal(SIGPIPE, SIG_IGN);
    log_open("bench", LOG_ERROR);
    measure(2, seconds);
    measure(64, seconds);
    unlink(path);
    return 0;
}
