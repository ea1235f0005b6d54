#include "cli/capacity.h"

#include "base/err.h"
#include "base/own.h"
#include "buffer/store.h"
#include "runtime/log.h"
#include "sae/export/export.h"
#include "sae/foretell.h"
#include "sae/sae.h"
#include "sae/whiten.h"
#include "wiring/bounds.h"
#include "wiring/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)BOUNDS_LEAST_SLABS == (int)STORE_LEAST_SLABS &&
                   (int)BOUNDS_LEAST_ROWS == (int)STORE_LEAST_ROWS,
               "the broker expects slabs as the store makes them");

enum {
    MONTH_DAYS = 30,
    LINE_BYTES = 160, /* of history.tsv, as long as they come */
    LOG_FILES = 2,    /* of a process: the present one and the one before */
    DAY_SECONDS = 86400,
};

struct sums { /* over autoencoders */
    uint64_t bytes, shared_bytes, checkpoint_bytes;
};

static int buffer_sizes(const struct config *config, struct capacity *c)
{
    uint32_t slab_bytes;
    uint8_t dtype = (uint8_t)config->stream.dtype;
    struct store_options options = {.size_bytes = config->sink.size_bytes,
                                    .slab_bytes = store_slab_setting(config->sink.slab_bytes),
                                    .width = c->width,
                                    .dtype = dtype};
    int result = store_slab_choose(&options, &slab_bytes);
    if (result != ERR_OK) return result;
    c->slab_bytes = slab_bytes;
    c->rows_per_slab = store_rows_per_slab(slab_bytes, c->width, dtype);
    c->slabs = store_slab_capacity(options.size_bytes, slab_bytes, c->width);
    c->buffer_rows = c->slabs * c->rows_per_slab;
    c->buffer_row_bytes = (double)slab_bytes / (double)c->rows_per_slab;
    size_t raw = frame_raw_bytes((uint32_t)c->rows_per_slab, c->width, dtype);
    c->wire_row_bytes = (double)(FRAME_HEADER_BYTES + raw) / (double)c->rows_per_slab;
    if (c->consumers) result = config_check_rows(config, c->width, c->buffer_rows);
    return result == ERR_OK ? store_check_producers(c->slabs, c->producers) : result;
}

static int plan_of(const struct config *config, const struct probe *p, struct plan *plan)
{
    struct view_hook hooks[ROW_MAX_HOOKS];
    for (uint32_t h = 0; h < p->hooks; h++)
        hooks[h] = (struct view_hook){p->hook[h].name, p->hook[h].width};
    return plan_foretell(config, hooks, p->hooks, plan);
}

static uint64_t export_bytes(const struct sae_options *o, uint64_t weights_bytes)
{
    uint64_t bytes = 0;
    for (int l = 0; l < EXPORT_LAYOUTS; l++)
        if (export_layouts[l].has(o)) bytes += weights_bytes;
    return bytes;
}

static int sae_sizes(const char *name, const struct sae_options *o, struct capacity *c,
                     struct sums *sums)
{
    uint64_t bytes, shared = 0, saved = plan_checkpoint_bytes(o);
    char text[640], why[512];
    int result = sae_bytes(o, &bytes);
    if (result == ERR_OK) result = sae_shared_bytes(o, &shared);
    if (result != ERR_OK) return err_set(result, "autoencoder %s: %s", name, err_text());
    if (foretell_lambda(o, why, sizeof why)) {
        snprintf(text, sizeof text, "%s: %s", name, why);
        json_array_append_new(c->warnings, json_string(text));
    }
    sums->bytes += bytes - shared;
    if (shared > sums->shared_bytes)
        sums->shared_bytes = shared; /* they step in turns, in one workspace */
    sums->checkpoint_bytes += saved;
    c->weights_bytes += saved / 3; /* as many are the two moments, each */
    c->exports_bytes += export_bytes(o, saved / 3);
    c->flops_per_row += plan_flops_a_row(o);
    return ERR_OK;
}

/* Measuring is over before the first step, but what it took then is taken from memory too; so is a
 * copy for whoever sees some hooks alone, while it is looked at. */
static int whitening_sizes(const struct probe *p, const struct plan *plan, struct capacity *c)
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
    c->whiten_bytes =
        whiten_bytes(widths, p->hooks) + whiten_measure_bytes(widths, p->hooks) + copy;
    c->checkpoint_bytes += whiten_bytes(widths, p->hooks);
    return ERR_OK;
}

static int plan_sizes(const struct config *config, const struct probe *p, const struct plan *plan,
                      struct capacity *c)
{
    const struct config_trainer *t = &config->trainer;
    struct sums sums = {0};
    int result = ERR_OK;
    for (uint32_t i = 0; i < plan->saes && result == ERR_OK; i++)
        result = sae_sizes(t->saes[i].name, &plan->sae[i], c, &sums);
    if (result != ERR_OK) return result;
    c->checkpoint_bytes = sums.checkpoint_bytes;
    c->moments_bytes = 2 * c->weights_bytes;
    uint64_t kept = c->weights_bytes + c->moments_bytes;
    uint64_t all = sums.bytes + sums.shared_bytes;
    c->scratch_bytes = all > kept ? all - kept : 0;
    /* Rows as they are drawn, and as those see them that see not all of them. */
    c->rows_bytes =
        (t->eval_rows + t->batch_rows) * ((uint64_t)p->width + plan->widest) * sizeof(float);
    if (plan->planned_rows) c->planned_rows = plan->planned_rows;
    if (t->whiten) result = whitening_sizes(p, plan, c);
    c->trainer_bytes = all + c->rows_bytes + c->whiten_bytes;
    return result;
}

static int trainer_sizes(const struct config *config, const struct probe *p, struct capacity *c)
{
    struct plan plan;
    if (c->consumers == 0) return ERR_OK;
    int result = plan_of(config, p, &plan);
    if (result != ERR_OK) return result;
    result = plan_sizes(config, p, &plan, c);
    plan_free(&plan);
    return result;
}

/* What credit lets all producers send before the first ack: the broker and the sink hold it at
 * most. */
static uint64_t frames_under_way(const struct config *config, uint64_t slab_bytes)
{
    uint64_t window = config->sink.window_slabs * slab_bytes;
    uint64_t kept = config->capture.retained_bytes;
    return (window < kept ? window : kept) * config->capture.producers;
}

static void process_sizes(const struct config *config, struct capacity *c)
{
    c->frames_under_way_bytes = frames_under_way(config, c->slab_bytes);
    c->broker_bytes = bounds_broker_bytes(config, c->width);
    c->sink_bytes = bounds_sink_bytes(config, c->slab_bytes);
    c->capture_bytes = bounds_capture_bytes(config, c->width, c->slab_bytes);
    c->mapped_bytes = config->sink.size_bytes;
}

/* Of one autoencoder after a month. */
static uint64_t curves_bytes(int curves)
{
    if (curves == CONFIG_CURVES_OFF) return 0;
    return curves == CONFIG_CURVES_ALL ? BOUNDS_CURVES_BYTES : BOUNDS_CURVES_BYTES / 2;
}

static void disk_sizes(const struct config *config, struct capacity *c)
{
    const struct config_trainer *t = &config->trainer;
    uint64_t trainers = c->consumers, processes = 2 + c->producers + trainers;
    double evaluations = DAY_SECONDS / t->eval_seconds;
    c->buffer_disk_bytes = config->sink.size_bytes;
    c->checkpoints_bytes = trainers * (t->keep_checkpoints + 1) * c->checkpoint_bytes;
    c->exports_bytes *= trainers;
    c->held_out_bytes = trainers * t->eval_rows * c->width * sizeof(float);
    c->lines_bytes_per_day = trainers * (uint64_t)(evaluations * t->saes_count * LINE_BYTES);
    c->curves_bytes = trainers * t->saes_count * curves_bytes(t->curves);
    c->logs_bytes = processes * LOG_FILES * LOG_FILE_BYTES;
    c->history_bytes = BOUNDS_HISTORY_BYTES;
    c->disk_bytes = c->buffer_disk_bytes + c->checkpoints_bytes + c->exports_bytes +
                    c->held_out_bytes + MONTH_DAYS * c->lines_bytes_per_day + c->logs_bytes +
                    c->history_bytes + c->curves_bytes;
    double share = config->sink.checkpoint_share * (double)(c->slabs * c->slab_bytes);
    c->checkpoint_bytes_per_stream_byte = (double)(trainers * c->checkpoint_bytes) / share;
}

/* Rows per second of all training so far, out of the last line of a consumer's history.tsv: its
 * second and third column. NaN where nothing is known. */
static double trained_before(const struct config *config)
{
    char path[CONFIG_PATH_BYTES], line[1024];
    double rows = NAN, seconds = NAN, last_rows, last_seconds;
    FILE *in = NULL;
    if (config->trainer.consumers.count == 0 ||
        config_consumer_dir(config, config->trainer.consumers.item[0], path) != ERR_OK ||
        strlen(path) + sizeof "/history.tsv" > sizeof path)
        return NAN;
    strcat(path, "/history.tsv");
    if (own_stream(path, &in) != ERR_OK) return NAN;
    while (fgets(line, sizeof line, in))
        if (sscanf(line, "%*s %lf %lf", &last_rows, &last_seconds) == 2) {
            rows = last_rows;
            seconds = last_seconds;
        }
    fclose(in);
    return seconds > 0 ? rows / seconds : NAN;
}

/* As far as the file tells; a corpus is counted when it runs. */
static uint64_t stream_rows(const struct config *config)
{
    const struct config_capture *c = &config->capture;
    if (c->rows) return c->rows;
    if (config->trainer.planned_rows) return config->trainer.planned_rows / config->trainer.reuse;
    return c->engine == CONFIG_SYNTHETIC ? c->synthetic.rows : 0;
}

int capacity_of(const struct config *config, const struct probe *probe, struct capacity *c)
{
    *c = (struct capacity){.producers = config->capture.producers,
                           .consumers = config->trainer.consumers.count,
                           .width = probe->width,
                           .draws_per_row = config->trainer.reuse,
                           .prepared_model_bytes = probe->forecast.prepared_bytes,
                           .warnings = json_array()};
    c->stream_rows = stream_rows(config);
    c->planned_rows = c->stream_rows * config->trainer.reuse;
    if (!c->warnings) return err_set(ERR_NOMEM, "no memory for the sizes");
    int result = buffer_sizes(config, c);
    if (result == ERR_OK) result = trainer_sizes(config, probe, c);
    if (result != ERR_OK) return result;
    process_sizes(config, c);
    disk_sizes(config, c);
    c->trained_rows_per_second = trained_before(config);
    return ERR_OK;
}

void capacity_free(struct capacity *c)
{
    json_decref(c->warnings);
    c->warnings = NULL;
}
