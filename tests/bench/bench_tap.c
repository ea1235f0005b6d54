/*
 * What the tap costs a host: processor time of its own threads, tokens/s and the 99th percentile of a
 * token's milliseconds, with the tap off and on in one process, in pairs that are run in turns.
 * Without a tap the host is measured against itself, which shows the noise.
 *
 * A tap's work per pass does not grow with the model's: `tiny`, a model of 30 narrow layers in the
 * batched host and in one thread, shows it where a pass is short and little else is there to vary.
 *
 *     bench_tap HOST [options]      batched, tiny, llama_cpp.server or llama-server; --help lists them
 */
#include "base/err.h"
#include "tests/bench/pairs.h"
#include "tests/hosts/asked.h"
#include "tests/hosts/command.h"
#include "tests/hosts/reader.h"
#include "tests/hosts/server.h"
#include "tests/hosts/traffic.h"
#include "tests/tiny_models.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONCURRENT = 8, WORDS = 20, TOKENS = 32, STEPS = 24, TINY_STEPS = 40, COMMAND_BYTES = 8192 };

static const char usage[] =
    "bench_tap HOST [options]      HOST: batched, tiny, llama_cpp.server or llama-server\n"
    "  --tap SLUICE,FILE  the program and the pipeline of the tap that is switched (none)\n"
    "  --name TEXT        what that is, for the table (alone)\n"
    "  --pairs N          (30)\n"
    "  --requests N       of an HTTP server per measurement (8; llama_cpp.server, which takes one\n"
    "                     at a time, 3)\n"
    "  --steps N          of batched per measurement (24; tiny 40)\n"
    "  --reader COMMAND   runs beside the whole time\n"
    "  --state STATE      of the reader: running, stopped or killed (running)\n"
    "  --json             for scripts\n";

struct wishes {
    const char *host, *name, *reader, *state;
    char sluice[1024], file[1024]; /* "": no tap */
    int pairs, requests, steps, json;
};

struct measured {
    double processor_ms_per_token, tokens_per_second, p99_ms;
};

struct bench {
    struct wishes wishes;
    struct prompts prompts;
    enum server_kind kind;
    struct server server;
    struct asked batched;
    char folder[64], program[4096], tiny[128];
    struct pairs processor, rate, p99;
};

static struct bench bench;

static void stop_all(void)
{
    char line[128];
    server_stop(&bench.server);
    asked_stop(&bench.batched);
    reader_end();
    if (!bench.folder[0]) return;
    snprintf(line, sizeof line, "rm -rf '%s'", bench.folder);
    if (system(line) != 0) fprintf(stderr, "bench_tap: %s stays\n", bench.folder);
}

static void must(int code)
{
    if (code == ERR_OK) return;
    fprintf(stderr, "bench_tap: %s: %s\n", err_str(code), err_text());
    exit(1);
}

static int is_tiny(void)
{
    return strcmp(bench.wishes.host, "tiny") == 0;
}

static int is_batched(void)
{
    return is_tiny() || strcmp(bench.wishes.host, "batched") == 0;
}

static void make_tiny(void)
{
    struct tiny tiny = {.architecture = "llama", .layers = 30, .seed = 1};
    snprintf(bench.tiny, sizeof bench.tiny, "%s/tiny.gguf", bench.folder);
    tiny_write(bench.tiny, &tiny);
}

static void write_prefix(char *prefix, size_t bytes)
{
    const struct wishes *w = &bench.wishes;
    if (w->sluice[0])
        snprintf(prefix, bytes, "%s tap %s --", w->sluice, w->file);
    else
        prefix[0] = '\0';
}

static void start_batched(const char *prefix)
{
    char command[COMMAND_BYTES];
    snprintf(command, sizeof command, "exec %s %s %s --asked 1 --steps %d --threads %d", prefix,
             bench.program, is_tiny() ? bench.tiny : command_model(), bench.wishes.steps,
             is_tiny() ? 1 : 2);
    struct asked_figures unused;
    must(asked_start(command, &bench.batched));
    must(asked_run(&bench.batched, &unused)); /* the tap is there when the model is */
}

static void start_server(const char *prefix)
{
    char log[128];
    snprintf(log, sizeof log, "%s/log", bench.folder);
    struct server_options options = {.kind = bench.kind,
                                     .model = command_model(),
                                     .prefix = prefix,
                                     .log = log,
                                     .slots = CONCURRENT,
                                     .context_tokens = CONCURRENT * 256,
                                     .ubatch_tokens = 512,
                                     .threads = 2};
    must(server_start(&options, &bench.server));
}

static void start(void)
{
    char prefix[COMMAND_BYTES / 2];
    write_prefix(prefix, sizeof prefix);
    if (is_batched())
        start_batched(prefix);
    else
        start_server(prefix);
}

static void measure_batched(struct measured *m)
{
    struct processor_seconds before, after;
    struct asked_figures figures;
    must(processor_seconds_of(bench.batched.pid, &before));
    must(asked_run(&bench.batched, &figures));
    must(processor_seconds_of(bench.batched.pid, &after));
    m->processor_ms_per_token = (after.own - before.own) * 1e3 / (double)figures.tokens;
    m->tokens_per_second = (double)figures.tokens / figures.seconds;
    m->p99_ms = figures.p99_ms;
}

static void measure_server(struct measured *m)
{
    struct traffic traffic;
    struct traffic_options options = {.port = bench.server.port,
                                      .concurrent = CONCURRENT,
                                      .requests = bench.wishes.requests,
                                      .tokens = TOKENS,
                                      .limit_seconds = 300,
                                      .prompts = &bench.prompts,
                                      .pid = bench.server.pid};
    must(traffic_run(&options, &traffic));
    m->processor_ms_per_token = traffic.processor.own * 1e3 / (double)traffic.tokens;
    m->tokens_per_second = traffic.tokens_per_second;
    m->p99_ms = traffic.p99_ms;
    traffic_free(&traffic);
}

static void measure(int on, struct measured *m)
{
    char line[COMMAND_BYTES / 2];
    if (bench.wishes.sluice[0]) {
        int pid = is_batched() ? bench.batched.pid : bench.server.pid;
        snprintf(line, sizeof line, "%s tap %s %d >/dev/null", bench.wishes.sluice,
                 on ? "on" : "off", pid);
        if (system(line) != 0) must(err_set(ERR_STATE, "failed: %s", line));
    }
    if (is_batched())
        measure_batched(m);
    else
        measure_server(m);
}

/* The first of a pair is now the one, now the other. */
static void measure_pair(int number)
{
    struct measured m[2];
    for (int i = 0; i < 2; i++) measure((i + number) % 2, &m[(i + number) % 2]);
    pairs_add(&bench.processor, m[0].processor_ms_per_token, m[1].processor_ms_per_token);
    pairs_add(&bench.rate, m[0].tokens_per_second, m[1].tokens_per_second);
    pairs_add(&bench.p99, m[0].p99_ms, m[1].p99_ms);
}

/* Once off and once on before anything counts: the first pass of a program takes its memory. */
static void measure_all(void)
{
    struct measured unused;
    for (int on = 0; on < 2; on++) measure(on, &unused);
    for (int i = 0; i < bench.wishes.pairs; i++) {
        measure_pair(i);
        fprintf(stderr, "\rbench_tap: %s, %s: %d of %d pairs", bench.wishes.host, bench.wishes.name,
                i + 1, bench.wishes.pairs);
    }
    fputc('\n', stderr);
}

static void print_line(const char *figure, const struct pairs *pairs)
{
    struct pairs_change c;
    pairs_compare(pairs, 1, &c);
    if (bench.wishes.json)
        printf("{\"host\":\"%s\",\"name\":\"%s\",\"reader\":\"%s\",\"figure\":\"%s\",\"pairs\":%d,"
               "\"off\":%.4f,\"on\":%.4f,\"percent\":%.3f,\"least\":%.3f,\"most\":%.3f}\n",
               bench.wishes.host, bench.wishes.name, bench.wishes.state, figure, pairs->count,
               c.first, c.second, c.percent, c.least, c.most);
    else
        printf("%-17s %-14s %-22s %10.4f %10.4f %+8.2f %%  (%+.2f to %+.2f)\n", bench.wishes.host,
               bench.wishes.name, figure, c.first, c.second, c.percent, c.least, c.most);
}

static void print_all(void)
{
    if (!bench.wishes.json)
        printf("%-17s %-14s %-22s %10s %10s   median of %d pairs (95 %%)\n", "host", "what",
               "figure", "off", "on", bench.processor.count);
    print_line("processor ms per token", &bench.processor);
    print_line("tokens/s", &bench.rate);
    print_line("token p99 ms", &bench.p99);
}

static void read_tap(struct wishes *w, const char *value)
{
    if (sscanf(value, "%1023[^,],%1023s", w->sluice, w->file) == 2) return;
    fputs(usage, stderr);
    exit(2);
}

static void read_option(struct wishes *w, int which, const char *value)
{
    switch (which) {
    case 't':
        read_tap(w, value);
        break;
    case 'n':
        w->name = value;
        break;
    case 'p':
        w->pairs = atoi(value);
        break;
    case 'q':
        w->requests = atoi(value);
        break;
    case 'S':
        w->steps = atoi(value);
        break;
    case 'R':
        w->reader = value;
        break;
    case 's':
        w->state = value;
        break;
    case 'j':
        w->json = 1;
        break;
    case 'h':
        fputs(usage, stdout);
        exit(0);
    default:
        exit(2);
    }
}

static int host_is_known(const char *host)
{
    for (int kind = SERVER_PYTHON; kind <= SERVER_LLAMA; kind++)
        if (strcmp(host, server_name(kind)) == 0) {
            bench.kind = kind;
            return 1;
        }
    return strcmp(host, "batched") == 0 || strcmp(host, "tiny") == 0;
}

static void read_options(int argc, char **argv)
{
    static const struct option all[] = {
        {"tap", required_argument, NULL, 't'},    {"name", required_argument, NULL, 'n'},
        {"pairs", required_argument, NULL, 'p'},  {"requests", required_argument, NULL, 'q'},
        {"reader", required_argument, NULL, 'R'}, {"state", required_argument, NULL, 's'},
        {"steps", required_argument, NULL, 'S'},  {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},         {0}};
    struct wishes *w = &bench.wishes;
    int found;
    *w = (struct wishes){.name = "alone", .state = "running", .pairs = 30};
    while ((found = getopt_long(argc, argv, "h", all, NULL)) != -1) read_option(w, found, optarg);
    if (optind == argc - 1) w->host = argv[optind];
    if (!w->host || !host_is_known(w->host) || w->pairs < 1 || w->pairs > PAIRS_MOST ||
        w->requests < 0 || w->steps < 0) {
        fputs(usage, stderr);
        exit(2);
    }
    if (!w->steps) w->steps = is_tiny() ? TINY_STEPS : STEPS;
    if (!w->requests) w->requests = !is_batched() && bench.kind == SERVER_PYTHON ? 3 : 8;
}

/* The program beside this one: BUILD/tests/hosts/batched. */
static void find_batched(void)
{
    ssize_t n = readlink("/proc/self/exe", bench.program, sizeof bench.program - 32);
    if (n <= 0) must(err_set(ERR_IO, "cannot tell where this program lies"));
    bench.program[n] = '\0';
    for (int up = 0; up < 2; up++) *strrchr(bench.program, '/') = '\0';
    strcat(bench.program, "/hosts/batched");
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    find_batched();
    atexit(stop_all);
    strcpy(bench.folder, "/tmp/sluice-bench-XXXXXX");
    if (!mkdtemp(bench.folder)) must(err_set(ERR_IO, "no folder below /tmp"));
    if (is_tiny()) make_tiny();
    must(prompts_read(command_corpus(), bench.wishes.requests, WORDS, 7, &bench.prompts));
    if (bench.wishes.reader) must(reader_begin(bench.wishes.reader, bench.wishes.state));
    start();
    measure_all();
    print_all();
    prompts_free(&bench.prompts);
    return 0;
}
