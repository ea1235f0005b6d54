/*
 * A program that knows libllama and nothing of Sluice: what a capture from unmodified programs is
 * tried on. It decodes many sequences in one batch, greedily, and does with their memory what servers
 * do. The tokens that it generated are printed, one line per slot.
 *
 *     batched MODEL [options]      batched --help lists them
 */
#include "tests/hosts/host.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char *const own_prompts[] = {
    "The history of the town begins with a river, and",
    "To make bread, first take the flour and",
    "The captain looked at the map for a long time. Then",
    "A list of animals that live in the desert:",
    "In mathematics, a prime number is",
    "It was raining when the train left the station, so",
    "The main parts of a computer are",
    "She opened the letter and read:",
};

static struct host_options options = {
    .slots = 8,
    .steps = 32,
    .turns = 1,
    .rounds = 1,
    .context_tokens = 4096,
    .batch_tokens = 512,
    .ubatch_tokens = 512,
    .threads = 2,
    .unified = 1,
};
static int text, asked;

static const struct number {
    const char *name;
    int *value;
    int least, most;
    const char *meaning;
} numbers[] = {
    {"slots", &options.slots, 1, HOST_MOST_SLOTS, "sequences in one batch"},
    {"steps", &options.steps, 1, 100000, "tokens that a slot generates per turn"},
    {"turns", &options.turns, 1, 1000, "turns of a slot's conversation"},
    {"rounds", &options.rounds, 1, 1000000, "all of it so often; the memory is cleared between"},
    {"context", &options.context_tokens, 16, 1 << 20, "tokens of the context"},
    {"batch", &options.batch_tokens, 1, 1 << 16, "tokens of a batch at most"},
    {"ubatch", &options.ubatch_tokens, 1, 1 << 16, "rows of a ubatch at most"},
    {"threads", &options.threads, 1, 256, "threads"},
    {"unified", &options.unified, 0, 1, "1: one cache for all slots; 0: one each"},
    {"stagger", &options.stagger, 0, 10000, "steps between the starts of two slots"},
    {"speculate", &options.speculate, 0, 64, "guesses per step; those rejected are removed"},
    {"shift", &options.shift, 0, 1 << 20, "tokens that a slot holds before it is shifted"},
    {"save", &options.save, 0, 1 << 20, "slot 0 is saved at this step, loaded two later"},
    {"reuse", &options.reuse, 0, 1, "1: a next turn keeps what the context has (prefix cache)"},
    {"twins", &options.twins, 0, 1, "1: slots 0 and 1 have the same prompt"},
    {"process", &options.processes, 0, 1, "1: llama_process(), as llama-server; 0: llama_decode()"},
    {"crash", &options.crash, 0, 1 << 20, "abort() at this step"},
    {"text", &text, 0, 1, "1: the text of each slot, too"},
    {"asked", &asked, 0, 1, "1: runs for every line on standard input, and prints the figures"},
};
enum { NUMBERS = sizeof numbers / sizeof *numbers };
enum { SYSTEM = 'S', BESIDE = 'B', PROMPTS = 'P', TRUTH = 'T', HELP = 'h' };

static void help(void)
{
    puts("batched MODEL [options]");
    for (int i = 0; i < NUMBERS; i++)
        printf("  --%-10s N     %s (%d)\n", numbers[i].name, numbers[i].meaning, *numbers[i].value);
    puts(
        "  --system     TEXT  decoded once, and copied to every slot\n"
        "  --prompts    FILE  a prompt per line, in place of eight own ones\n"
        "  --beside     MODEL a second context, of another model, generates beside\n"
        "  --truth      FILE  every token that was submitted, as JSON lines (tests/hosts/truth.h)");
}

static FILE *open_file(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (!file) host_die("%s: %s", path, strerror(errno));
    return file;
}

static void read_prompts(const char *path)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;
    FILE *file = open_file(path, "r");
    options.prompt_count = 0;
    while (options.prompt_count < HOST_MOST_PROMPTS && (bytes = getline(&line, &room, file)) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (*line) options.prompts[options.prompt_count++] = strdup(line);
    }
    free(line);
    fclose(file);
    if (!options.prompt_count) host_die("%s has no line", path);
}

static void set_number(const struct number *number, const char *value)
{
    char *end;
    long n = strtol(value, &end, 10);
    if (end == value || *end || n < number->least || n > number->most)
        host_die("--%s takes %d to %d, not '%s'", number->name, number->least, number->most, value);
    *number->value = (int)n;
}

static void set_text(int which, const char *value)
{
    switch (which) {
    case SYSTEM:
        options.system = value;
        break;
    case BESIDE:
        options.beside = value;
        break;
    case PROMPTS:
        read_prompts(value);
        break;
    case TRUTH:
        options.truth = open_file(value, "w");
        break;
    case HELP:
        help();
        exit(0);
    default:
        exit(2);
    }
}

static void read_options(int argc, char **argv)
{
    struct option all[NUMBERS + 6] = {
        [NUMBERS] = {"system", required_argument, NULL, SYSTEM},
        {"beside", required_argument, NULL, BESIDE},
        {"prompts", required_argument, NULL, PROMPTS},
        {"truth", required_argument, NULL, TRUTH},
        {"help", no_argument, NULL, HELP},
    };
    int found, index = 0;
    for (int i = 0; i < NUMBERS; i++)
        all[i] = (struct option){numbers[i].name, required_argument, NULL, 0};
    while ((found = getopt_long(argc, argv, "h", all, &index)) != -1) {
        if (found == 0)
            set_number(&numbers[index], optarg);
        else
            set_text(found, optarg);
    }
    if (optind != argc - 1) host_die("one MODEL, please; --help lists the options");
    options.model = argv[optind];
}

static void print_line(const char *name, int number, const llama_token *tokens, int count)
{
    printf("%s %d:", name, number);
    for (int i = 0; i < count; i++) printf(" %d", tokens[i]);
    putchar('\n');
}

static void print_text(const struct host *host, const struct slot *slot)
{
    char piece[256];
    for (int i = 0; i < slot->said_count; i++) {
        int bytes = llama_token_to_piece(llama_model_get_vocab(host->model), slot->said[i], piece,
                                         sizeof piece, 0, true);
        if (bytes > 0) fwrite(piece, 1, (size_t)bytes, stdout);
    }
    putchar('\n');
}

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_figures(struct host_figures *f)
{
    if (!f->steps) return;
    qsort(f->step_seconds, (size_t)f->steps, sizeof *f->step_seconds, rising);
    printf("{\"tokens\":%ld,\"seconds\":%.6f,\"steps\":%d,\"p50_ms\":%.4f,\"p99_ms\":%.4f}\n",
           f->tokens, f->seconds, f->steps, f->step_seconds[f->steps / 2] * 1e3,
           f->step_seconds[f->steps * 99 / 100] * 1e3);
    fflush(stdout);
}

static void run_when_asked(struct host *host)
{
    int c;
    while ((c = getchar()) != EOF) {
        if (c != '\n') continue;
        host_run(host);
        print_figures(&host->figures);
    }
}

static void say_errors(enum ggml_log_level level, const char *line, void *unused)
{
    (void)unused;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(line, stderr);
}

int main(int argc, char **argv)
{
    static struct host host;
    options.prompt_count = sizeof own_prompts / sizeof *own_prompts;
    memcpy(options.prompts, own_prompts, sizeof own_prompts);
    read_options(argc, argv);
    llama_log_set(say_errors, NULL);
    host_open(&host, &options);
    if (asked)
        run_when_asked(&host);
    else
        host_run(&host);
    for (int i = 0; i < options.slots; i++) {
        print_line("slot", i, host.slots[i].said, host.slots[i].said_count);
        if (text) print_text(&host, &host.slots[i]);
    }
    if (options.beside) print_line("beside", 0, host.beside_said, host.beside_count);
    host_close(&host);
    if (options.truth) fclose(options.truth);
    return 0;
}
