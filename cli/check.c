/* `sluice check`: everything that can be validated without running, and the sizes that follow. */
#include "buffer/store.h"

#include "base/err.h"
#include "base/own.h"
#include "cli/commands.h"
#include "cli/preflight.h"
#include "cli/preparation.h"
#include "cli/probe.h"
#include "cli/progress.h"
#include "sae/foretell.h"
#include "sae/sae.h"
#include "sae/whiten.h"
#include "wiring/bounds.h"
#include "wiring/plan.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

_Static_assert((int)BOUNDS_LEAST_SLABS == (int)STORE_LEAST_SLABS &&
                   (int)BOUNDS_LEAST_ROWS == (int)STORE_LEAST_ROWS,
               "the broker expects slabs as the store makes them");

struct sizes {
    uint64_t slab_bytes, rows_per_slab, slabs, buffer_rows;
    uint64_t trainer_bytes, checkpoint_bytes;
    uint64_t shared_bytes; /* of the SAE that needs most */
    uint64_t whiten_bytes; /* of the trainer's; 0: rows are not whitened */
    char warning[4096];    /* of autoencoders; "": none */
};

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
    progress_bytes(bytes, text, sizeof text);
    text_line(what, text);
}

static int buffer_sizes(const struct config *config, uint32_t width, struct sizes *s)
{
    uint32_t slab_bytes;
    struct store_options options = {.size_bytes = config->sink.size_bytes,
                                    .slab_bytes = store_slab_setting(config->sink.slab_bytes),
                                    .width = width,
                                    .dtype = (uint8_t)config->stream.dtype};
    int result = store_slab_choose(&options, &slab_bytes);
    if (result != ERR_OK) return result;
    s->slab_bytes = slab_bytes;
    s->rows_per_slab = store_rows_per_slab(slab_bytes, width, options.dtype);
    s->slabs = store_slab_capacity(options.size_bytes, slab_bytes, width);
    s->buffer_rows = s->slabs * s->rows_per_slab;
    if (config->trainer.consumers.count) result = config_check_rows(config, width, s->buffer_rows);
    return result == ERR_OK ? store_check_producers(s->slabs, config->capture.producers) : result;
}

static int plan_of(const struct config *config, const struct probe *p, struct plan *plan)
{
    struct view_hook hooks[ROW_MAX_HOOKS];
    for (uint32_t h = 0; h < p->hooks; h++)
        hooks[h] = (struct view_hook){p->hook[h].name, p->hook[h].width};
    return plan_foretell(config, hooks, p->hooks, plan);
}

static int sae_sizes(const char *name, const struct sae_options *o, struct sizes *s)
{
    uint64_t bytes, shared = 0;
    char *warning = s->warning + strlen(s->warning), why[512];
    int result = sae_bytes(o, &bytes);
    if (result == ERR_OK) result = sae_shared_bytes(o, &shared);
    if (result != ERR_OK) return err_set(result, "autoencoder %s: %s", name, err_text());
    if (foretell_lambda(o, why, sizeof why))
        snprintf(warning, sizeof s->warning - strlen(s->warning), "\nWARNING: %s: %s\n", name, why);
    s->trainer_bytes += bytes - shared;
    if (shared > s->shared_bytes)
        s->shared_bytes = shared; /* they step in turns, in one workspace */
    s->checkpoint_bytes += plan_checkpoint_bytes(o);
    return ERR_OK;
}

/* Measuring is over before the first step, but what it took then is taken from memory too; so is a
 * copy for whoever sees some hooks alone, while it is looked at. */
static int whitening_sizes(const struct probe *p, const struct plan *plan, struct sizes *s)
{
    uint32_t widths[ROW_MAX_HOOKS];
    uint64_t copy = 0;
    for (uint32_t h = 0; h < p->hooks; h++) {
        widths[h] = p->hook[h].width;
        if (widths[h] > WHITEN_MAX_WIDTH)
            return err_set(ERR_USAGE, "trainer.whiten: %s has %u values, and %d can be whitened",
                           p->hook[h].name, widths[h], WHITEN_MAX_WIDTH);
    }
    for (uint32_t i = 0; i < plan->saes; i++) {
        const struct view *v = &plan->view[i];
        uint64_t bytes = v->is_whole ? 0 : whiten_bytes(v->values, v->hooks);
        if (bytes > copy) copy = bytes;
    }
    s->whiten_bytes =
        whiten_bytes(widths, p->hooks) + whiten_measure_bytes(widths, p->hooks) + copy;
    s->trainer_bytes += s->whiten_bytes;
    s->checkpoint_bytes += whiten_bytes(widths, p->hooks);
    return ERR_OK;
}

static int trainer_sizes(const struct config *config, const struct probe *p, struct sizes *s)
{
    const struct config_trainer *t = &config->trainer;
    struct plan plan;
    if (t->consumers.count == 0) return ERR_OK;
    int result = plan_of(config, p, &plan);
    if (result != ERR_OK) return result;
    for (uint32_t i = 0; i < plan.saes && result == ERR_OK; i++)
        result = sae_sizes(t->saes[i].name, &plan.sae[i], s);
    /* Rows as they are drawn, and as those see them that see not all of them. */
    s->trainer_bytes += s->shared_bytes + (t->eval_rows + t->batch_rows) *
                                              ((uint64_t)p->width + plan.widest) * sizeof(float);
    if (result == ERR_OK && t->whiten) result = whitening_sizes(p, &plan, s);
    plan_free(&plan);
    return result;
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
    if (p->corpus_files)
        number_line(p->opened ? "corpus, files" : "corpus, files and patterns", p->corpus_files);
    if (p->corpus_note[0]) text_line("", p->corpus_note);
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
    progress_bytes((double)bytes, room, sizeof room);
    progress_bytes((double)config->sink.size_bytes, size, sizeof size);
    printf(
        "\nWARNING: the disk of %s has room for %s, and the buffer may take %s; HINT: make room, "
        "lower sink.size, or set stream.run_dir\n",
        config->run_dir, room, size);
}

static void print_sizes(const struct config *config, uint32_t width, const struct sizes *s)
{
    double share = config->sink.checkpoint_share * (double)(s->slabs * s->slab_bytes);
    char ratio[64];
    number_line("values per row", width);
    number_line("rows per slab", (double)s->rows_per_slab);
    number_line("slabs", (double)s->slabs);
    number_line("rows in the buffer", (double)s->buffer_rows);
    bytes_line("buffer on disk, at most", (double)config->sink.size_bytes);
    bytes_line("a producer's unacked frames, at most", (double)config->capture.retained_bytes);
    bytes_line("frames in broker and sink, each", (double)frames_under_way(config, s));
    bytes_line("memory of the broker, at most", (double)bounds_broker_bytes(config, width));
    bytes_line("memory of the sink, at most", (double)bounds_sink_bytes(config, s->slab_bytes));
    bytes_line("memory of a capture, at most",
               (double)bounds_capture_bytes(config, width, s->slab_bytes));
    bytes_line("memory of a trainer, about", (double)s->trainer_bytes);
    if (s->whiten_bytes) bytes_line("  of it to whiten, about", (double)s->whiten_bytes);
    bytes_line("a checkpoint, about", (double)s->checkpoint_bytes);
    snprintf(ratio, sizeof ratio, "%.2f", (double)s->checkpoint_bytes / share);
    text_line("checkpoint bytes per stream byte", ratio);
    printf(
        "\nThese are caps, whatever peers send: without floods, broker and sink take a fraction "
        "(docs/SPEED.md has what\nwas measured). Beside a capture's comes the model, and what the "
        "engine computes in. Pages of the buffer's file\nare the kernel's to take back.\n");
    if ((double)s->checkpoint_bytes > share)
        printf("\nWARNING: checkpoints would write more than the stream itself; HINT: raise "
               "sink.size or sink.checkpoint_share\n");
}

int check_command(const struct options *options, const struct config *config)
{
    struct probe probe;
    struct sizes sizes = {0};
    struct part part;
    int result = part_parse(config, options_get(options, "only"), &part);
    if (result == ERR_OK) result = preflight(config, &part);
    if (result == ERR_OK) result = probe_engine(config, &probe);
    if (result == ERR_OK && probe.opened) result = buffer_sizes(config, probe.width, &sizes);
    if (result == ERR_OK && probe.opened) result = trainer_sizes(config, &probe, &sizes);
    if (result != ERR_OK) return result;
    printf("%s is valid.\n\n", options->file);
    print_stream(config, &probe);
    if (probe.opened)
        print_sizes(config, probe.width, &sizes);
    else
        printf("\nThe corpus is standard input: sizes follow from the model when it runs.\n");
    preparation_print(&probe.forecast);
    fputs(sizes.warning, stdout);
    warn_of_disk(config);
    char parents[512];
    if (own_parents(config->run_dir, parents, sizeof parents) == ERR_OK && parents[0])
        printf("\nWARNING: %s; HINT: choose another stream.run_dir where they are not trusted\n",
               parents);
    return ERR_OK;
}
