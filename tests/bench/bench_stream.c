/*
 * The stream, with rows made beforehand: from one producer to committed slabs, through the real
 * broker and the real sink, against what ZeroMQ alone does through one forwarding process.
 *
 *   bench_stream BUILD_DIR [GIB]      default: 4 GiB each
 *
 * Frames of 256 KiB (576 values a row, bf16), codec none, durability process. The consumer declares
 * each slab finished as soon as it is acked, so the sink frees as it goes; it draws nothing, since
 * a trainer's need is measured by bench_draw. Each frame has a number of its own but the same rows.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#include "base/err.h"
#include "base/fileio.h"
#include "base/rng.h"
#include "buffer/consumer.h"
#include "capture/cutter.h"
#include "capture/sender.h"

enum { WIDTH = 576, FRAME_BYTES = 256 << 10 };

static char folder[] = "/tmp/sluice-bench-XXXXXX";
static uint64_t frames_wanted;

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_stream: %s: %s\n", what, err_text());
    exit(1);
}

/* A child that dies with this process, however that dies. */
static pid_t fork_bound(void)
{
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
    }
    return child;
}

/* ---- memory ---- */

static double memcpy_rate(void)
{
    size_t bytes = (size_t)256 << 20;
    char *from = malloc(bytes), *to = malloc(bytes);
    if (!from || !to) die("no memory");
    memset(from, 1, bytes);
    memset(to, 2, bytes);
    double start = now_seconds();
    for (int i = 0; i < 8; i++) {
        memcpy(to, from, bytes);
        __asm__ volatile("" ::"r"(to) : "memory");
    }
    double rate = 8.0 * (double)bytes / (now_seconds() - start) / 1e9;
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
    if (bind ? zmq_bind(s, endpoint) : zmq_connect(s, endpoint)) die("bare socket");
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
    if (hops == 2 && (child[1] = fork_bound()) == 0) {
        forwarder();
        _exit(0);
    }
    if ((child[0] = fork_bound()) == 0) {
        bare_producer(hops == 1 ? "one" : "in");
        _exit(0);
    }
    double start = 0;
    for (uint64_t i = 0; i < frames_wanted; i++) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        if (zmq_msg_recv(&message, in, 0) < 0) die("bare receive");
        if (i == 0) start = now_seconds();
        zmq_msg_close(&message);
    }
    double seconds = now_seconds() - start;
    for (int i = 0; i < hops; i++) waitpid(child[i], NULL, 0);
    zmq_close(in);
    zmq_ctx_term(context);
    return (double)(frames_wanted - 1) * FRAME_BYTES / seconds / 1e9;
}

/* ---- Sluice ---- */

struct bench {
    struct process *process;
    struct sender *sender;
    pthread_t maker, consumer;
    int is_over;
    double start_seconds, end_seconds;
    uint64_t sent_bytes;
};

static struct bench *running;

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
                                     .rows_a_slab = d->rows_a_slab,
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
    for (uint32_t r = 0; r < d->rows_a_slab; r++) {
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
    b->start_seconds = now_seconds();
    for (uint64_t i = 0; !rc && i < frames_wanted; i++) {
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
    b->sent_bytes = frames_wanted * (header.raw_bytes + FRAME_HEADER_BYTES);
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
    snprintf(buffer, sizeof buffer, "%s/run/buffer", folder);
    while (!__atomic_load_n(&b->is_over, __ATOMIC_ACQUIRE)) {
        struct sender_status status;
        sender_status(b->sender, &status);
        if (status.counters.acked_frames + 1 > producer.lowest) {
            producer.lowest = producer.harvested = status.counters.acked_frames + 1;
            producer.epoch = 1;
            state.checkpoint_request = UINT64_MAX / 2;
            if (consumer_write(buffer, &state)) die("consumer state");
        }
        usleep(5000);
    }
    return NULL;
}

static void over(void *arg)
{
    struct bench *b = arg;
    struct sender_status status;
    b->end_seconds = now_seconds();
    sender_status(b->sender, &status);
    process_finish(b->process, status.phase == PRODUCER_ENDED
                                   ? ERR_OK
                                   : err_set(ERR_STATE, "the stream failed: %s", status.text));
}

static int start(struct process *process)
{
    struct bench *b = process_state(process);
    running = b;
    b->process = process;
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
    if (out) fprintf(out, "%.6f\n", (double)b->sent_bytes / seconds / 1e9), fclose(out);
    sender_close(b->sender);
}

static const char config_text[] = "stream: { name: bench, hooks: [bench.0], run_dir: %s/run }\n"
                                  "capture: { engine: synthetic, synthetic: { width: 576 } }\n"
                                  "sink: { size: 512MiB, slab: 256KiB }\n"
                                  "trainer: { consumers: [bench], saes: [ { arch: count } ] }\n";

static pid_t spawn(const char *build, const char *program, const char *config)
{
    pid_t pid = fork_bound();
    if (pid) return pid;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", build, program);
    execl(path, path, "--log-level", "error", config, (char *)NULL);
    _exit(127);
}

static double sluice_rate(const char *build)
{
    char config[128], text[1024];
    int result[2];
    snprintf(config, sizeof config, "%s/bench.yaml", folder);
    int bytes = snprintf(text, sizeof text, config_text, folder);
    if (file_replace(config, text, (size_t)bytes) || pipe(result)) die("configuration");
    pid_t broker = spawn(build, "sluice-broker", config),
          sink = spawn(build, "sluice-sink", config);
    pid_t producer = fork_bound();
    if (producer == 0) {
        static const struct process_spec spec = {
            .program = {.name = "bench_stream", .summary = "b", .description = "b"},
            .section = "capture",
            .state_bytes = sizeof(struct bench),
            .start = start,
            .stop = stop};
        char *argv[] = {"bench_stream", "--log-level", "warn", config, NULL};
        dup2(result[1], 3);
        exit(process_main(&spec, 4, argv));
    }
    int status;
    double rate = 0;
    close(result[1]);
    waitpid(producer, &status, 0);
    FILE *in = fdopen(result[0], "r");
    if (status || !in || fscanf(in, "%lf", &rate) != 1) rate = 0;
    if (in) fclose(in);
    kill(sink, SIGTERM);
    kill(broker, SIGTERM);
    waitpid(sink, NULL, 0);
    waitpid(broker, NULL, 0);
    return rate;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_stream BUILD_DIR [GIB]\n");
        return 2;
    }
    double gib = argc > 2 ? atof(argv[2]) : 4;
    frames_wanted = (uint64_t)(gib * 4096);
    if (!mkdtemp(folder)) die("temporary folder");
    double copy = memcpy_rate(), one = bare_rate(1), bare[2], sluice[2];
    for (int i = 0; i < 2; i++) { /* in pairs: the machine's mood changes */
        bare[i] = bare_rate(2);
        sluice[i] = sluice_rate(argv[1]);
        char run[64];
        snprintf(run, sizeof run, "%s/run", folder);
        dir_remove(run);
    }
    double b = (bare[0] + bare[1]) / 2, s = (sluice[0] + sluice[1]) / 2;
    printf("memcpy_gbps=%.2f one_hop_gbps=%.2f forwarded_gbps=%.2f sluice_gbps=%.2f\n", copy, one,
           b, s);
    printf("stream_ratio=%.3f (to one hop %.3f, to memcpy %.3f); target >= 0.6\n", s / b, s / one,
           s / copy);
    dir_remove(folder);
    return s > 0 ? 0 : 1;
}
