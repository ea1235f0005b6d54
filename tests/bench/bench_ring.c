/*
 * What a row costs the program that hands it over: nanoseconds in sluice_put() over those of memcpy of the
 * bytes that the caller has (float32), in turns.
 *
 *   bench_ring [PAIRS]      21 pairs; D 576 and D 4096, bf16, one thread
 *
 * The ring's tail is moved between the calls, so that what is measured is the writer alone; its 64 MiB lie
 * in /dev/shm. Eight rows are handed over at once.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "client/sluice.h"
#include "client/stream.h"

enum { ROWS = 20000, BATCH = 8, MOST_PAIRS = 201 };

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, rising);
    return x[n / 2];
}

/* Room for all that comes next: as a reader that keeps up. */
static void make_room(struct sluice *s)
{
    atomic_store(&s->ring->reader.tail, atomic_load(&s->ring->host.head));
}

static double put_ns(struct sluice *s, uint32_t width, const float *values)
{
    struct sluice_row rows[BATCH];
    double spent = 0;
    for (uint32_t i = 0; i < ROWS; i += BATCH) {
        for (uint32_t r = 0; r < BATCH; r++) rows[r] = (struct sluice_row){1, i + r, r, 0, 0};
        make_room(s);
        double begin = (double)clock_ns(CLOCK_THREAD_CPUTIME_ID);
        if (sluice_put(s, BATCH, rows, values + (size_t)(i % 64) * width) != BATCH) exit(1);
        spent += (double)clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
    }
    return spent / ROWS;
}

/* Into as much memory as the ring's. */
static double copy_ns(char *to, size_t bytes, uint32_t width, const float *values)
{
    size_t row = width * sizeof *values, at = 0;
    double spent = 0;
    for (uint32_t i = 0; i < ROWS; i += BATCH) {
        double begin = (double)clock_ns(CLOCK_THREAD_CPUTIME_ID);
        memcpy(to + at, values + (size_t)(i % 64) * width, BATCH * row);
        spent += (double)clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
        at = at + 2 * BATCH * row > bytes ? 0 : at + BATCH * row;
    }
    return spent / ROWS;
}

static void measure(uint32_t width, int pairs)
{
    double put[MOST_PAIRS], copy[MOST_PAIRS], ratio[MOST_PAIRS];
    struct sluice_hook hook = {"resid_post.1", width};
    struct sluice_options o = {
        .size = sizeof o, .stream = "bench", .hooks = &hook, .hooks_count = 1};
    struct sluice *s;
    if (sluice_open(&o, &s) != SLUICE_OK) {
        fprintf(stderr, "bench_ring: %s\n", sluice_error());
        exit(1);
    }
    size_t bytes = 64 << 20;
    char *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    float *values = malloc((size_t)128 * width * sizeof *values);
    if (memory == MAP_FAILED || !values) exit(1);
    for (size_t i = 0; i < (size_t)128 * width; i++) values[i] = (float)i / 7 - (float)(i % 1000);
    for (int i = -1; i < pairs; i++) { /* the first warms up */
        int at = i < 0 ? 0 : i;
        copy[at] = copy_ns(memory, bytes, width, values);
        put[at] = put_ns(s, width, values);
        ratio[at] = put[at] / copy[at];
    }
    double of_put = median(put, pairs), of_copy = median(copy, pairs);
    printf("width=%u put_ns=%.0f memcpy_ns=%.0f ratio=%.2f gb_per_s=%.2f\n", width, of_put, of_copy,
           median(ratio, pairs), (double)width * 4 / of_put);
    free(values);
    munmap(memory, bytes);
    make_room(s);
    sluice_close(s);
}

int main(int argc, char **argv)
{
    int pairs = argc > 1 ? atoi(argv[1]) : 21;
    if (pairs < 1 || pairs > MOST_PAIRS) return 2;
    measure(576, pairs);
    measure(4096, pairs);
    return 0;
}
