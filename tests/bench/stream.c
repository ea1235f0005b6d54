#include "tests/bench/stream.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fileio.h"
#include "base/rng.h"
#include "buffer/consumer.h"
#include "capture/cutter.h"
#include "capture/sender.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WIDTH = 576 };

double stream_seconds(void)
{
    return clock_seconds(CLOCK_MONOTONIC);
}

void stream_die(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, err_text());
    exit(1);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double stream_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

pid_t stream_fork(void)
{
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
    }
    return child;
}

/* ---- the producer ---- */

/* The producer's process. */
struct bench {
    struct process *process;
    struct stream_options options;
    struct sender *sender;
    pthread_t maker, consumer;
    int is_over;
    double start_seconds, end_seconds;
    uint64_t sent_bytes;
};

static const struct stream_options *given; /* to the next process */

static int describe(struct bench *b)
{
    struct descriptor d = {.dtype = DTYPE_BF16,
                           .width = WIDTH,
                           .hooks = 1,
                           .engine = "bench",
                           .model = "bench",
                           .precision = "bf16",
                           .context_tokens = 512,
                           .share_count = 1};
    char *text = NULL;
    size_t bytes;
    snprintf(d.stream, sizeof d.stream, "%s", "bench");
    snprintf(d.hook[0].name, sizeof d.hook[0].name, "%s", "bench.0");
    d.hook[0].width = WIDTH;
    int rc = descriptor_encode(&d, &text, &bytes);
    if (!rc) rc = sender_introduce(b->sender, text, bytes);
    free(text);
    struct producer_order order = sender_wait_order(b->sender, 0);
    if (rc || order.task != PRODUCER_MEASURE) return rc;
    d.measured = 1;
    d.mean = calloc(WIDTH, sizeof *d.mean);
    d.measured_rows = 1;
    d.hook[0].scale = d.hook[0].norm_median = 1;
    if (!d.mean) return err_set(ERR_NOMEM, "no memory");
    rc = descriptor_encode(&d, &text, &bytes);
    if (!rc) rc = sender_described(b->sender, text, bytes);
    free(text);
    free(d.mean);
    return rc;
}

/* One sealed frame of random finite rows: header and payload. */
static int make_frame(const struct descriptor *d, struct frame_header *header, uint8_t **payload)
{
    struct cutter_options options = {.stream = stream_key("bench"),
                                     .rows_per_slab = d->rows_per_slab,
                                     .width = WIDTH,
                                     .dtype = DTYPE_BF16,
                                     .codec = CODEC_NONE};
    struct cutter *cutter = NULL;
    struct rng rng;
    float x[WIDTH];
    int rc = cutter_new(&options, &cutter);
    if (rc) return rc;
    *payload = malloc(cutter_payload_bytes(cutter));
    rng_seed(&rng, 1);
    for (uint32_t r = 0; r < d->rows_per_slab; r++) {
        struct row_id id = {.sequence = r / 511, .position = r % 511 + 1, .token = 7};
        struct cursor at = {.sequence = id.sequence, .position = id.position}, after = at;
        for (int i = 0; i < WIDTH; i++) x[i] = (float)rng_normal(&rng);
        after.position++;
        cutter_add(cutter, &id, x, &at, &after);
    }
    if (*payload) rc = cutter_seal(cutter, process_wall_ns(), header, *payload);
    cutter_free(cutter);
    return *payload ? rc : err_set(ERR_NOMEM, "no memory");
}

static int send_frames(struct bench *b, uint64_t generation)
{
    const struct descriptor *d = sender_descriptor(b->sender);
    struct frame_header header;
    uint8_t *payload = NULL;
    int rc = make_frame(d, &header, &payload);
    b->start_seconds = stream_seconds();
    for (uint64_t i = 0; !rc && i < b->options.frames; i++) {
        struct window_frame *frame;
        rc = sender_take(b->sender, generation, &frame);
        if (rc) break;
        /* A buffer that has gone round keeps its payload: the rows are made beforehand. */
        if (frame->header.rows != header.rows)
            memcpy(frame->bytes + FRAME_HEADER_BYTES, payload, header.packed_bytes);
        uint64_t rows = (i + 1) * header.rows;
        frame->header = header;
        frame->header.totals.captured_rows = rows;
        rc = sender_push(b->sender, generation, frame);
        struct producer_place place = {.totals = {.captured_rows = rows}};
        if (!rc) rc = sender_count(b->sender, generation, &place);
    }
    free(payload);
    b->sent_bytes = b->options.frames * (header.raw_bytes + FRAME_HEADER_BYTES);
    return rc ? rc : sender_end(b->sender, generation);
}

static void *make(void *arg)
{
    struct bench *b = arg;
    struct producer_order order = {0};
    int rc = describe(b);
    while (!rc && order.task != PRODUCER_MAKE && order.task != PRODUCER_HALT)
        order = sender_wait_order(b->sender, order.generation);
    if (!rc && order.task == PRODUCER_MAKE) rc = send_frames(b, order.generation);
    if (rc) sender_fail(b->sender, rc, err_text());
    return NULL;
}

/* Declares finished what is acked, each few milliseconds. */
static void *consume(void *arg)
{
    struct bench *b = arg;
    char buffer[64];
    struct consumer_producer producer = {.lowest = 1, .harvested = 1};
    struct consumer_state state = {
        .name = "bench", .stream = stream_key("bench"), .producers = 1, .producer = &producer};
    snprintf(buffer, sizeof buffer, "%s/run/buffer", b->options.folder);
    while (!__atomic_load_n(&b->is_over, __ATOMIC_ACQUIRE)) {
        struct sender_status status;
        sender_status(b->sender, &status);
        if (b->options.acked)
            __atomic_store_n(b->options.acked, status.counters.acked_frames, __ATOMIC_RELAXED);
        if (status.counters.acked_frames + 1 > producer.lowest) {
            producer.lowest = producer.harvested = status.counters.acked_frames + 1;
            producer.epoch = 1;
            state.checkpoint_request = UINT64_MAX / 2;
            if (consumer_write(buffer, &state)) stream_die("consumer state");
        }
        usleep(5000);
    }
    return NULL;
}

static void over(void *arg)
{
    struct bench *b = arg;
    struct sender_status status;
    b->end_seconds = stream_seconds();
    sender_status(b->sender, &status);
    process_finish(b->process, status.phase == PRODUCER_ENDED
                                   ? ERR_OK
                                   : err_set(ERR_STATE, "the stream failed: %s", status.text));
}

static int start(struct process *process)
{
    struct bench *b = process_state(process);
    b->process = process;
    b->options = *given;
    struct sender_options options = {.producer = {.stream = "bench",
                                                  .name = "bench",
                                                  .share_count = 1,
                                                  .retained_bytes = (size_t)32 << 20},
                                     .over = over,
                                     .arg = b};
    int rc = sender_open(process, &options, &b->sender);
    if (!rc) pthread_create(&b->maker, NULL, make, b);
    if (!rc) pthread_create(&b->consumer, NULL, consume, b);
    return rc;
}

static void stop(struct process *process)
{
    struct bench *b = process_state(process);
    if (!b->sender) return;
    __atomic_store_n(&b->is_over, 1, __ATOMIC_RELEASE);
    sender_halt(b->sender);
    pthread_join(b->maker, NULL);
    pthread_join(b->consumer, NULL);
    double seconds = b->end_seconds - b->start_seconds;
    FILE *out = fopen("/proc/self/fd/3", "w");
    if (out) fprintf(out, "%.6f %.6f\n", (double)b->sent_bytes / 1e9, seconds), fclose(out);
    sender_close(b->sender);
}

/* ---- the processes ---- */

static const char config_text[] = "stream: { name: bench, hooks: [bench.0], run_dir: %s/run }\n"
                                  "capture: { engine: synthetic, synthetic: { width: 576 } }\n"
                                  "broker: { %s }\n"
                                  "sink: { size: 512MiB, slab: 256KiB }\n"
                                  "trainer: { consumers: [bench], saes: [ { arch: count } ] }\n";

static pid_t spawn(const char *build, const char *program, const char *config)
{
    pid_t pid = stream_fork();
    if (pid) return pid;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", build, program);
    execl(path, path, "--log-level", "error", config, (char *)NULL);
    _exit(127);
}

static pid_t spawn_producer(char *config, int result)
{
    static const struct process_spec spec = {
        .program = {.name = "bench_stream", .summary = "b", .description = "b"},
        .section = "capture",
        .state_bytes = sizeof(struct bench),
        .start = start,
        .stop = stop};
    char *argv[] = {"bench_stream", "--log-level", "error", config, NULL};
    pid_t pid = stream_fork();
    if (pid) return pid;
    dup2(result, 3);
    exit(process_main(&spec, 4, argv));
}

/* Its configuration, into a file, whose path goes into out[128]. */
static void configure(const struct stream_options *options, char *out)
{
    char text[2048];
    snprintf(out, 128, "%s/bench.yaml", options->folder);
    int bytes = snprintf(text, sizeof text, config_text, options->folder,
                         options->broker ? options->broker : "");
    if (file_replace(out, text, (size_t)bytes)) stream_die("configuration");
}

pid_t stream_broker(const struct stream_options *options)
{
    char config[128];
    configure(options, config);
    int shown = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO); /* it would say that no sink comes */
    pid_t pid = spawn(options->build, "sluice-broker", config);
    dup2(shown, STDERR_FILENO);
    close(shown);
    close(null);
    return pid;
}

void stream_start(const struct stream_options *options, struct stream *s)
{
    char config[128];
    int result[2];
    configure(options, config);
    if (pipe(result)) stream_die("pipe");
    given = options;
    s->broker = spawn(options->build, "sluice-broker", config);
    s->sink = spawn(options->build, "sluice-sink", config);
    s->producer = spawn_producer(config, result[1]);
    s->result = result[0];
    snprintf(s->run, sizeof s->run, "%s/run", options->folder);
    close(result[1]);
}

/* Wait for a child, and add what it took of the processor. */
static int gather(pid_t pid, double *seconds)
{
    struct rusage used;
    int status = -1;
    if (wait4(pid, &status, 0, &used) != pid) return -1;
    *seconds += (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
    return status;
}

struct stream_cost stream_wait(struct stream *s)
{
    struct stream_cost cost = {0};
    int status = gather(s->producer, &cost.cpu_seconds);
    FILE *in = fdopen(s->result, "r");
    if (status || !in || fscanf(in, "%lf %lf", &cost.gb, &cost.seconds) != 2)
        cost.gb = cost.seconds = 0;
    if (in) fclose(in);
    kill(s->sink, SIGTERM);
    kill(s->broker, SIGTERM);
    gather(s->sink, &cost.cpu_seconds);
    gather(s->broker, &cost.cpu_seconds);
    dir_remove(s->run);
    return cost;
}

void stream_kill(struct stream *s)
{
    kill(s->producer, SIGKILL);
    stream_wait(s);
}
