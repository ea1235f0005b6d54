/*
 * A steady load for an OpenAI-compatible server on this machine, and what it took:
 *
 *     load PORT [options]      load --help lists them
 */
#include "base/err.h"
#include "tests/hosts/traffic.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "load PORT --corpus FILE [options]\n"
    "  --concurrent N   requests at once (8)\n"
    "  --requests N     all in all (64)\n"
    "  --tokens N       of each answer (32)\n"
    "  --words N        of each prompt (24)\n"
    "  --seed N         which prompts (1)\n"
    "  --seconds N      for all of it (600)\n"
    "  --pid N          the server's: processor seconds of its threads are told, too\n"
    "  --answers FILE   what was answered, a JSON string per line, in the order of the prompts\n"
    "  --json           for scripts\n";

struct wishes {
    const char *corpus, *answers;
    int words, seed, json;
    struct traffic_options options;
};

static void must(int code)
{
    if (code == ERR_OK) return;
    fprintf(stderr, "load: %s: %s\n", err_str(code), err_text());
    exit(1);
}

static void read_option(struct wishes *wishes, int which, const char *value)
{
    int number = value ? atoi(value) : 0;
    switch (which) {
    case 'c':
        wishes->options.concurrent = number;
        break;
    case 'r':
        wishes->options.requests = number;
        break;
    case 't':
        wishes->options.tokens = number;
        break;
    case 'w':
        wishes->words = number;
        break;
    case 's':
        wishes->seed = number;
        break;
    case 'l':
        wishes->options.limit_seconds = number;
        break;
    case 'p':
        wishes->options.pid = number;
        break;
    case 'a':
        wishes->answers = value;
        break;
    case 'C':
        wishes->corpus = value;
        break;
    case 'j':
        wishes->json = 1;
        break;
    case 'h':
        fputs(usage, stdout);
        exit(0);
    default:
        exit(2);
    }
}

static void read_options(int argc, char **argv, struct wishes *wishes)
{
    static const struct option all[] = {{"concurrent", required_argument, NULL, 'c'},
                                        {"requests", required_argument, NULL, 'r'},
                                        {"tokens", required_argument, NULL, 't'},
                                        {"words", required_argument, NULL, 'w'},
                                        {"seed", required_argument, NULL, 's'},
                                        {"seconds", required_argument, NULL, 'l'},
                                        {"pid", required_argument, NULL, 'p'},
                                        {"answers", required_argument, NULL, 'a'},
                                        {"corpus", required_argument, NULL, 'C'},
                                        {"json", no_argument, NULL, 'j'},
                                        {"help", no_argument, NULL, 'h'},
                                        {0}};
    int found;
    while ((found = getopt_long(argc, argv, "h", all, NULL)) != -1)
        read_option(wishes, found, optarg);
    struct traffic_options *o = &wishes->options;
    if (optind != argc - 1 || !wishes->corpus || o->requests < 1 || o->tokens < 1) {
        fputs(usage, stderr);
        exit(2);
    }
    o->port = atoi(argv[optind]);
}

static void write_answers(const char *path, const struct traffic *traffic)
{
    FILE *file = fopen(path, "w");
    if (!file) must(err_set(ERR_IO, "%s cannot be written", path));
    for (int i = 0; i < traffic->requests; i++) {
        json_t *text = json_string_nocheck(traffic->answers[i]);
        json_dumpf(text, file, JSON_ENCODE_ANY);
        fputc('\n', file);
        json_decref(text);
    }
    fclose(file);
}

static void print(const struct wishes *wishes, const struct traffic *t)
{
    const char *form =
        wishes->json
            ? "{\"requests\":%d,\"tokens\":%ld,\"seconds\":%.3f,\"tokens_per_second\":%.2f,"
              "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"first_p50_ms\":%.3f,\"processor_seconds\":%.4f,"
              "\"others_processor_seconds\":%.4f}\n"
            : "requests         %8d\ntokens           %8ld\nseconds          %8.2f\n"
              "tokens/s         %8.1f\ntoken p50 ms     %8.2f\ntoken p99 ms     %8.2f\n"
              "first p50 ms     %8.2f\nprocessor s      %8.3f\nof the tap's     %8.3f\n";
    printf(form, t->requests, t->tokens, t->seconds, t->tokens_per_second, t->p50_ms, t->p99_ms,
           t->first_p50_ms, t->processor.own, t->processor.others);
}

int main(int argc, char **argv)
{
    struct wishes wishes = {
        .words = 24,
        .seed = 1,
        .options = {.concurrent = 8, .requests = 64, .tokens = 32, .limit_seconds = 600}};
    struct prompts prompts;
    struct traffic traffic;
    read_options(argc, argv, &wishes);
    must(prompts_read(wishes.corpus, wishes.options.requests, wishes.words, (unsigned)wishes.seed,
                      &prompts));
    wishes.options.prompts = &prompts;
    must(traffic_run(&wishes.options, &traffic));
    if (wishes.answers) write_answers(wishes.answers, &traffic);
    print(&wishes, &traffic);
    traffic_free(&traffic);
    prompts_free(&prompts);
    return 0;
}
