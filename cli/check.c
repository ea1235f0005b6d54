/* `sluice check`: everything that can be validated without running, and the sizes that follow. */
#include "buffer/store.h"

#include "base/err.h"
#include "cli/commands.h"
#include "cli/probe.h"
#include "cli/progress.h"
#include "sae/sae.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

struct sizes {
    uint64_t slab_bytes, rows_a_slab, slabs, buffer_rows;
    uint64_t trainer_bytes, checkpoint_bytes;
};

static void size_text(double bytes, char *out, size_t room)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    while (bytes >= 1024 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, room, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void text_line(const char *what, const char *text)
{
    printf("  %-34s %s\n", what, text);
}

static void number_line(const char *what, double number)
{
    char text[32];
    progress_number(number, text, sizeof text);
    text_line(what, text);
}

static void bytes_line(const char *what, double bytes)
{
    char text[32];
    size_text(bytes, text, sizeof text);
    text_line(what, text);
}

static int buffer_sizes(const struct config *config, uint32_t width, struct sizes *s)
{
    uint8_t dtype = (uint8_t)config->stream.dtype;
    uint64_t size = config->sink.size_bytes;
    s->slab_bytes =
        config->sink.slab_bytes ? config->sink.slab_bytes : store_slab_bytes(size, width, dtype);
    s->rows_a_slab = store_rows_a_slab((uint32_t)s->slab_bytes, width, dtype);
    s->slabs = store_slab_capacity(size, (uint32_t)s->slab_bytes, width);
    s->buffer_rows = s->slabs * s->rows_a_slab;
    if (!s->slab_bytes || !s->rows_a_slab || s->slabs < STORE_LEAST_SLABS)
        return err_set(
            ERR_USAGE,
            "sink.size: %llu bytes do not hold %d slabs of at least %d rows of width %u; "
            "HINT: raise sink.size",
            (unsigned long long)size, STORE_LEAST_SLABS, STORE_LEAST_ROWS, width);
    return config_check_rows(config, width, s->buffer_rows);
}

/* Weights and two moments of Adam, float32; what else a checkpoint holds is small beside them. */
static uint64_t checkpoint_bytes(const struct sae_options *o)
{
    if (o->arch == SAE_COUNT) return 0;
    uint64_t parameters = sae_weights(o) + o->features + sae_out_width(o);
    return parameters * 3 * sizeof(float);
}

static int trainer_sizes(const struct config *config, const struct probe *p, struct sizes *s)
{
    uint32_t width = p->width;
    const struct config_trainer *t = &config->trainer;
    for (uint32_t i = 0; i < t->saes_count; i++) {
        struct sae_options o;
        uint64_t bytes;
        sae_options_default((enum sae_arch)t->saes[i].arch, &o);
        o.width = width;
        o.features = t->saes[i].features;
        o.k = t->saes[i].k;
        o.k_aux = t->saes[i].k_aux;
        o.activation = config_activation(&t->saes[i]);
        o.skip = (uint32_t)t->saes[i].skip;
        if (o.arch == SAE_TRANSCODER) o.width_in = p->hook[0].width;
        if (o.arch == SAE_CROSSCODER) o.hooks = p->hooks;
        if (t->saes[i].arch == SAE_MATRYOSHKA) o.levels = t->saes[i].levels;
        o.learning_rate = t->saes[i].lr;
        o.batch_rows = t->batch_rows;
        o.threads = config_threads(t->threads);
        int result = sae_bytes(&o, &bytes);
        if (result != ERR_OK) return result;
        s->trainer_bytes += bytes;
        s->checkpoint_bytes += checkpoint_bytes(&o);
    }
    s->trainer_bytes += (t->eval_rows + t->batch_rows) * width * sizeof(float);
    return ERR_OK;
}

static void print_stream(const struct config *config, const struct probe *p)
{
    text_line("stream", config->stream.name);
    text_line("folder", config->run_dir);
    if (p->model[0]) text_line(config->capture.engine == CONFIG_FILES ? "rows" : "model", p->model);
    for (uint32_t h = 0; h < p->hooks; h++) {
        char text[128];
        snprintf(text, sizeof text, "%s, %u values", p->hook[h].name, p->hook[h].width);
        text_line(h ? "" : "hooks", text);
    }
    if (p->corpus_files) number_line("corpus, files and patterns", p->corpus_files);
}

/* What credit lets all producers send before the first ack: the broker and the sink hold it at
 * most. */
static uint64_t frames_under_way(const struct config *config, const struct sizes *s)
{
    uint64_t window = config->sink.window_slabs * s->slab_bytes;
    uint64_t kept = config->capture.retained_bytes;
    return (window < kept ? window : kept) * config->capture.producers;
}

/* Bytes that the disk of the run's folder has left for the buffer, what it holds already among
 * them; UINT64_MAX where nobody can tell. */
static uint64_t room_for_buffer(const struct config *config)
{
    char path[CONFIG_PATH_BYTES], file[CONFIG_PATH_BYTES + 16];
    struct statvfs disk;
    struct stat data;
    if (config_buffer_dir(config, path) != ERR_OK) return UINT64_MAX;
    snprintf(file, sizeof file, "%s/data.mdb", path);
    uint64_t held = stat(file, &data) == 0 ? (uint64_t)data.st_blocks * 512 : 0;
    while (statvfs(path, &disk) != 0) { /* the nearest folder that is there already */
        char *slash = strrchr(path, '/');
        if (!slash || slash == path) return UINT64_MAX;
        *slash = '\0';
    }
    return (uint64_t)disk.f_bavail * disk.f_frsize + held;
}

static void warn_of_disk(const struct config *config)
{
    char room[32], size[32];
    uint64_t bytes = room_for_buffer(config);
    if (bytes >= config->sink.size_bytes) return;
    size_text((double)bytes, room, sizeof room);
    size_text((double)config->sink.size_bytes, size, sizeof size);
    printf(
        "\nWARNING: the disk of %s has room for %s, and the buffer may take %s; HINT: make room, "
        "lower sink.size, or set stream.run_dir\n",
        config->run_dir, room, size);
}

/* Errors are all told of before the check ends: earlier ones here, the last one by main(). */
struct findings {
    int code; /* of the first */
    char text[1024];
};

static int note(struct findings *f, int result)
{
    if (result == ERR_OK) return ERR_OK;
    if (f->code == ERR_OK) f->code = result;
    if (f->text[0]) fprintf(stderr, "sluice: %s\n", f->text);
    snprintf(f->text, sizeof f->text, "%s", err_text());
    return result;
}

/* What can be told without opening the engine. */
static void check_parts(const struct config *config, struct findings *f)
{
    static const char *const sections[] = {"broker", "sink", "trainer"};
    struct config_list corpus;
    char model[CONFIG_PATH_BYTES];
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        note(f, config_check_section(config, sections[i]));
    note(f, sae_environment_check());
    if (note(f, config_check_section(config, "capture")) != ERR_OK) return;
    if (config->capture.engine != CONFIG_LLAMA) return;
    note(f, config_model_path(config, model));
    if (note(f, config_corpus(config, &corpus)) == ERR_OK) config_list_free(&corpus);
}

static void print_sizes(const struct config *config, uint32_t width, const struct sizes *s)
{
    double share = config->sink.checkpoint_share * (double)(s->slabs * s->slab_bytes);
    char ratio[64];
    number_line("values a row", width);
    number_line("rows a slab", (double)s->rows_a_slab);
    number_line("slabs", (double)s->slabs);
    number_line("rows in the buffer", (double)s->buffer_rows);
    bytes_line("buffer on disk, at most", (double)config->sink.size_bytes);
    bytes_line("a producer's unacked frames, at most", (double)config->capture.retained_bytes);
    bytes_line("frames in broker and sink, each", (double)frames_under_way(config, s));
    bytes_line("memory of a trainer, about", (double)s->trainer_bytes);
    bytes_line("a checkpoint, about", (double)s->checkpoint_bytes);
    snprintf(ratio, sizeof ratio, "%.2f", (double)s->checkpoint_bytes / share);
    text_line("checkpoint bytes a stream byte", ratio);
    printf(
        "\nCapture, broker and sink hold these frames; beside them come the model and the engine's "
        "own (capture) and\nsome 10 MiB a process: docs/SPEED.md has what was measured.\n");
    if ((double)s->checkpoint_bytes > share)
        printf("\nWARNING: checkpoints would write more than the stream itself; HINT: raise "
               "sink.size or sink.checkpoint_share\n");
}

int check_command(const struct options *options, const struct config *config)
{
    struct findings findings = {0};
    struct probe probe;
    struct sizes sizes = {0};
    check_parts(config, &findings);
    if (findings.code != ERR_OK) return err_set(findings.code, "%s", findings.text);
    int result = probe_engine(config, &probe);
    if (result == ERR_OK && probe.opened) result = buffer_sizes(config, probe.width, &sizes);
    if (result == ERR_OK && probe.opened) result = trainer_sizes(config, &probe, &sizes);
    if (result != ERR_OK) return result;
    printf("%s is valid.\n\n", options->file);
    print_stream(config, &probe);
    if (probe.opened)
        print_sizes(config, probe.width, &sizes);
    else
        printf("\nThe corpus is standard input: sizes follow from the model when it runs.\n");
    warn_of_disk(config);
    return ERR_OK;
}
