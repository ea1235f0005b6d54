/*
 * What encryption costs: the same stream (tests/bench/stream.h) over ipc, over tcp on loopback
 * without keys, and over tcp with CURVE, in turns. GB/s, and processor seconds of broker, sink and
 * producer together per GB.
 *
 *   bench_transport BUILD_DIR [GIB [TURNS]]      default: 1 GiB each, 5 turns
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fileio.h"
#include "tests/bench/stream.h"

enum { IPC, TCP, CURVE, TRANSPORTS, MAX_TURNS = 99 };

static const char *const names[] = {"ipc", "tcp, no keys", "tcp, CURVE"};
static char folder[] = "/tmp/sluice-bench-XXXXXX";

/* One that is free now. */
static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, bytes) ||
        getsockname(fd, (struct sockaddr *)&address, &bytes))
        stream_die("no port");
    close(fd);
    return ntohs(address.sin_port);
}

static void broker_keys(int transport, char *out, size_t bytes)
{
    static const char tcp[] = "front: tcp://127.0.0.1:%d, back: tcp://127.0.0.1:%d, ";
    out[0] = '\0';
    if (transport == IPC) return;
    int n = snprintf(out, bytes, tcp, free_port(), free_port());
    if (transport == TCP)
        snprintf(out + n, bytes - (size_t)n, "insecure_tcp: true");
    else
        snprintf(out + n, bytes - (size_t)n, "keys: %s/keys", folder);
}

static void make_keys(const char *build)
{
    char path[512], config[64], text[256];
    int status;
    snprintf(path, sizeof path, "%s/sluice", build);
    snprintf(config, sizeof config, "%s/keys.yaml", folder);
    int bytes = snprintf(text, sizeof text,
                         "stream: { name: bench, hooks: [bench.0], run_dir: %s/run }\n"
                         "broker: { keys: %s/keys }\n"
                         "trainer: { saes: [ { arch: count } ] }\n",
                         folder, folder);
    if (file_replace(config, text, (size_t)bytes)) stream_die("configuration");
    pid_t pid = stream_fork();
    if (pid == 0) {
        if (freopen("/dev/null", "w", stdout)) execl(path, path, "keygen", config, (char *)NULL);
        _exit(127);
    }
    if (waitpid(pid, &status, 0) != pid || status) stream_die("sluice keygen failed");
}

/* Of each turn the ratio to another transport in that turn: median, least and most. */
static void print_ratio(const char *what, double of[][MAX_TURNS], int a, int b, int turns)
{
    double ratio[MAX_TURNS];
    for (int i = 0; i < turns; i++) ratio[i] = of[a][i] / of[b][i];
    double middle = stream_median(ratio, turns);
    printf("%s, %s over %s: %.2f (%.2f to %.2f)\n", what, names[a], names[b], middle, ratio[0],
           ratio[turns - 1]);
}

int main(int argc, char **argv)
{
    static double rate[TRANSPORTS][MAX_TURNS], cpu[TRANSPORTS][MAX_TURNS];
    char broker[256];
    if (argc < 2) {
        fprintf(stderr, "usage: bench_transport BUILD_DIR [GIB [TURNS]]\n");
        return 2;
    }
    double gib = argc > 2 ? atof(argv[2]) : 1;
    int turns = argc > 3 ? atoi(argv[3]) : 5;
    if (turns < 1 || turns > MAX_TURNS) turns = 5;
    if (!mkdtemp(folder)) stream_die("temporary folder");
    make_keys(argv[1]);
    for (int i = 0; i < turns * TRANSPORTS; i++) {
        struct stream stream;
        int t = i % TRANSPORTS, turn = i / TRANSPORTS;
        struct stream_options options = {argv[1], folder, broker, (uint64_t)(gib * 4096), NULL};
        broker_keys(t, broker, sizeof broker);
        stream_start(&options, &stream);
        struct stream_cost cost = stream_wait(&stream);
        if (cost.seconds <= 0) stream_die("a stream failed");
        rate[t][turn] = cost.gb / cost.seconds;
        cpu[t][turn] = cost.cpu_seconds / cost.gb;
    }
    for (int t = 1; t < TRANSPORTS; t++) {
        print_ratio("GB/s", rate, t, 0, turns);
        print_ratio("processor", cpu, t, 0, turns);
    }
    print_ratio("GB/s", rate, CURVE, TCP, turns);
    print_ratio("processor", cpu, CURVE, TCP, turns);
    for (int t = 0; t < TRANSPORTS; t++)
        printf("%-13s %.2f GB/s, %.2f processor seconds per GB (medians of %d)\n", names[t],
               stream_median(rate[t], turns), stream_median(cpu[t], turns), turns);
    dir_remove(folder);
    return 0;
}
