/*
 * The stream, with rows made beforehand: from one producer to committed slabs, through the real
 * broker and the real sink, against what ZeroMQ alone does through one forwarding process.
 *
 *   bench_stream BUILD_DIR [GIB]                          default: 4 GiB each
 *   bench_stream BUILD_DIR GIB TURNS OTHER_BUILD_DIR...   the brokers and sinks of several builds, in
 *                                                         turns: ratios to the first
 *
 * The stream itself is that of tests/bench/stream.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zmq.h>

#include "base/fileio.h"
#include "tests/bench/stream.h"

enum { FRAME_BYTES = 256 << 10 };

static char folder[] = "/tmp/sluice-bench-XXXXXX";
static uint64_t frames_wanted;

/* ---- memory ---- */

static double memcpy_rate(void)
{
    size_t bytes = (size_t)256 << 20;
    char *from = malloc(bytes), *to = malloc(bytes);
    if (!from || !to) stream_die("no memory");
    memset(from, 1, bytes);
    memset(to, 2, bytes);
    double start = stream_seconds();
    for (int i = 0; i < 8; i++) {
        memcpy(to, from, bytes);
        __asm__ volatile("" ::"r"(to) : "memory");
    }
    double rate = 8.0 * (double)bytes / (stream_seconds() - start) / 1e9;
    free(from);
    free(to);
    return rate;
}

/* ---- bare ZeroMQ ---- */

static void keep(void *data, void *hint)
{
    (void)data;
    (void)hint;
}

static void *bare_socket(void *context, int type, int bind, const char *name)
{
    char endpoint[128];
    int limit = 64;
    void *s = zmq_socket(context, type);
    snprintf(endpoint, sizeof endpoint, "ipc://%s/%s", folder, name);
    zmq_setsockopt(s, ZMQ_SNDHWM, &limit, sizeof limit);
    zmq_setsockopt(s, ZMQ_RCVHWM, &limit, sizeof limit);
    if (bind ? zmq_bind(s, endpoint) : zmq_connect(s, endpoint)) stream_die("bare socket");
    return s;
}

static void forwarder(void)
{
    void *context = zmq_ctx_new();
    void *in = bare_socket(context, ZMQ_PULL, 1, "in"),
         *out = bare_socket(context, ZMQ_PUSH, 0, "out");
    zmq_msg_t message;
    for (uint64_t i = 0; i < frames_wanted; i++) {
        zmq_msg_init(&message);
        if (zmq_msg_recv(&message, in, 0) < 0 || zmq_msg_send(&message, out, 0) < 0) exit(1);
    }
    zmq_close(in);
    zmq_close(out);
    zmq_ctx_term(context);
}

static void bare_producer(const char *name)
{
    void *context = zmq_ctx_new();
    void *out = bare_socket(context, ZMQ_PUSH, 0, name);
    char *frame = malloc(FRAME_BYTES);
    memset(frame, 3, FRAME_BYTES);
    for (uint64_t i = 0; i < frames_wanted; i++) {
        zmq_msg_t message;
        zmq_msg_init_data(&message, frame, FRAME_BYTES, keep, NULL);
        if (zmq_msg_send(&message, out, 0) < 0) exit(1);
    }
    zmq_close(out);
    zmq_ctx_term(context);
    free(frame);
}

/* GB/s of frames of nothing, over `hops` connections. */
static double bare_rate(int hops)
{
    void *context = zmq_ctx_new();
    void *in = bare_socket(context, ZMQ_PULL, 1, hops == 1 ? "one" : "out");
    pid_t child[2] = {0};
    if (hops == 2 && (child[1] = stream_fork()) == 0) {
        forwarder();
        _exit(0);
    }
    if ((child[0] = stream_fork()) == 0) {
        bare_producer(hops == 1 ? "one" : "in");
        _exit(0);
    }
    double start = 0;
    for (uint64_t i = 0; i < frames_wanted; i++) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        if (zmq_msg_recv(&message, in, 0) < 0) stream_die("bare receive");
        if (i == 0) start = stream_seconds();
        zmq_msg_close(&message);
    }
    double seconds = stream_seconds() - start;
    for (int i = 0; i < hops; i++) waitpid(child[i], NULL, 0);
    zmq_close(in);
    zmq_ctx_term(context);
    return (double)(frames_wanted - 1) * FRAME_BYTES / seconds / 1e9;
}

/* ---- Sluice ---- */

/* GB/s; 0: the stream failed. */
static double sluice_rate(const struct stream_options *options)
{
    struct stream stream;
    stream_start(options, &stream);
    struct stream_cost cost = stream_wait(&stream);
    return cost.seconds > 0 ? cost.gb / cost.seconds : 0;
}

/* ---- builds ---- */

enum { MAX_BUILDS = 8, MAX_TURNS = 99 };

static int compare_builds(char **builds, int count, int turns)
{
    static double rate[MAX_BUILDS][MAX_TURNS];
    if (count > MAX_BUILDS || turns < 1 || turns > MAX_TURNS) stream_die("too many");
    for (int i = 0; i < turns * count; i++) {
        /* Each turn begins with another. */
        int turn = i / count, b = (i + turn) % count;
        struct stream_options options = {builds[b], folder, NULL, frames_wanted, NULL};
        rate[b][turn] = sluice_rate(&options);
        if (rate[b][turn] <= 0) stream_die("a stream failed");
    }
    for (int b = 1; b < count; b++) {
        double ratio[MAX_TURNS];
        for (int i = 0; i < turns; i++) ratio[i] = rate[b][i] / rate[0][i];
        double middle = stream_median(ratio, turns);
        printf("%s over %s: %.3f (%.3f to %.3f), median of %d\n", builds[b], builds[0], middle,
               ratio[0], ratio[turns - 1], turns);
    }
    for (int b = 0; b < count; b++)
        printf("%s: %.2f GB/s\n", builds[b], stream_median(rate[b], turns));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_stream BUILD_DIR [GIB [TURNS OTHER_BUILD_DIR...]]\n");
        return 2;
    }
    double gib = argc > 2 ? atof(argv[2]) : 4;
    frames_wanted = (uint64_t)(gib * 4096);
    if (!mkdtemp(folder)) stream_die("temporary folder");
    if (argc > 4) {
        char *builds[MAX_BUILDS] = {argv[1]};
        int count = 1;
        for (int i = 4; i < argc && count < MAX_BUILDS; i++) builds[count++] = argv[i];
        int result = compare_builds(builds, count, atoi(argv[3]));
        dir_remove(folder);
        return result;
    }
    const struct stream_options options = {argv[1], folder, NULL, frames_wanted, NULL};
    double copy = memcpy_rate(), one = bare_rate(1), bare[2], sluice[2];
    for (int i = 0; i < 2; i++) { /* in pairs: the machine's mood changes */
        bare[i] = bare_rate(2);
        sluice[i] = sluice_rate(&options);
    }
    double b = (bare[0] + bare[1]) / 2, s = (sluice[0] + sluice[1]) / 2;
    printf("memcpy_gbps=%.2f one_hop_gbps=%.2f forwarded_gbps=%.2f sluice_gbps=%.2f\n", copy, one,
           b, s);
    printf("stream_ratio=%.3f (to one hop %.3f, to memcpy %.3f); target >= 0.6\n", s / b, s / one,
           s / copy);
    dir_remove(folder);
    return s > 0 ? 0 : 1;
}
