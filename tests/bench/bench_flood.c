/*
 * A stream beside a flood: frames stored per second while 1, 4 and 8 attackers (tests/e2e/attack.h)
 * flood the broker's front, over the rate without them just before and after. Beside it the same
 * flood of another broker on this machine: what the attackers' own use of the processors costs.
 *
 *   bench_flood BUILD_DIR [SECONDS [ROUNDS [KIND]]]      default: windows of 1.5 s, 3 rounds, all kinds
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fileio.h"
#include "proto/message.h"
#include "tests/bench/stream.h"
#include "tests/e2e/attack.h"

enum { MAX_ATTACKERS = 8, MAX_ROUNDS = 33 };

static const struct attack attacks[] = {
    {"REPORTs of 64 KiB", MESSAGE_REPORT, 64 << 10, 0, 1},
    {"frames in no session", ATTACK_FRAME, 0, 0, 1},
    {"junk of 1 MiB", ATTACK_JUNK, 0, 0, 1},
    {"PINGs", MESSAGE_PING, 0, 0, 1},
    {"ASKs", MESSAGE_ASK, 0, 0, 1},
};
enum { ATTACKS = sizeof attacks / sizeof attacks[0] };
static const int counts[] = {1, 4, 8};
enum { COUNTS = 3 };

static char folder[] = "/tmp/sluice-bench-XXXXXX";
static double window_seconds = 1.5;
static int rounds = 3;

static uint64_t *shared_counter(void)
{
    void *shared =
        mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) stream_die("no memory");
    return shared;
}

/* Frames stored per second from now on. */
static double rate(const uint64_t *acked)
{
    uint64_t before = __atomic_load_n(acked, __ATOMIC_RELAXED);
    double start = stream_seconds();
    usleep((useconds_t)(window_seconds * 1e6));
    uint64_t now = __atomic_load_n(acked, __ATOMIC_RELAXED);
    return (double)(now - before) / (stream_seconds() - start);
}

/* A quiet window follows; `quiet` is the rate in the one before, and then in that one. */
static double relative(const uint64_t *acked, const struct attack *attack, int count,
                       const char *endpoint, double *quiet)
{
    pid_t attackers[MAX_ATTACKERS] = {0};
    attack_begin(attack, endpoint, count, attackers);
    usleep(300000);
    double flooded = rate(acked), before = *quiet;
    attack_end(count, attackers);
    usleep(300000);
    *quiet = rate(acked);
    return flooded / ((before + *quiet) / 2);
}

static void measure(const uint64_t *acked, const struct attack *attack, const char *elsewhere)
{
    char here[256], there[256];
    double of[2][COUNTS][MAX_ROUNDS];
    double quiet = rate(acked), first = quiet;
    snprintf(here, sizeof here, "ipc://%s/run/ipc/front", folder);
    snprintf(there, sizeof there, "ipc://%s/run/ipc/front", elsewhere);
    for (int i = 0; i < rounds; i++)
        for (int c = 0; c < COUNTS; c++) {
            of[0][c][i] = relative(acked, attack, counts[c], here, &quiet);
            of[1][c][i] = relative(acked, attack, counts[c], there, &quiet);
        }
    printf("%s (quiet: %.0f frames per second)\n", attack->name, first);
    for (int c = 0; c < COUNTS; c++) {
        double ratio[MAX_ROUNDS];
        for (int i = 0; i < rounds; i++) ratio[i] = of[0][c][i] / of[1][c][i];
        double ours = stream_median(of[0][c], rounds), other = stream_median(of[1][c], rounds);
        printf("  %d attackers: %.2f (%.2f to %.2f) of the rate; another broker flooded: %.2f "
               "(%.2f to %.2f); of that %.2f\n",
               counts[c], ours, of[0][c][0], of[0][c][rounds - 1], other, of[1][c][0],
               of[1][c][rounds - 1], stream_median(ratio, rounds));
    }
    fflush(stdout);
}

static void run(const char *build, const struct attack *attack)
{
    struct stream stream;
    char elsewhere[128];
    uint64_t *acked = shared_counter();
    struct stream_options options = {build, folder, NULL, UINT64_MAX, acked};
    struct stream_options other = {build, elsewhere, NULL, 0, NULL};
    snprintf(elsewhere, sizeof elsewhere, "%s/other", folder);
    mkdir(elsewhere, 0700);
    pid_t idle = stream_broker(&other);
    stream_start(&options, &stream);
    double start = stream_seconds();
    while (__atomic_load_n(acked, __ATOMIC_RELAXED) < 1000) {
        usleep(10000);
        if (stream_seconds() > start + 60) stream_die("no frame is stored");
    }
    measure(acked, attack, elsewhere);
    stream_kill(&stream);
    kill(idle, SIGKILL);
    waitpid(idle, NULL, 0);
    dir_remove(elsewhere);
    munmap(acked, sizeof *acked);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_flood BUILD_DIR [SECONDS [ROUNDS [KIND]]]\n");
        return 2;
    }
    if (argc > 2) window_seconds = atof(argv[2]);
    if (argc > 3) rounds = atoi(argv[3]);
    if (rounds < 1 || rounds > MAX_ROUNDS) rounds = 3;
    if (!mkdtemp(folder)) stream_die("temporary folder");
    for (int i = 0; i < ATTACKS; i++)
        if (argc < 5 || atoi(argv[4]) == i) run(argv[1], &attacks[i]);
    dir_remove(folder);
    return 0;
}
