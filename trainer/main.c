/* sluice-trainer: draws rows from the buffer and trains autoencoders on them. The loop's thread has
 * signals, metrics and reports; the training has a thread of its own. */
#include "base/err.h"
#include "base/limits.h"
#include "base/streams.h"
#include "proto/message.h"
#include "runtime/finish.h"
#include "runtime/process.h"
#include "sae/sae.h"
#include "trainer/curves.h"
#include "trainer/gauges.h"
#include "trainer/training.h"
#include "wiring/link.h"
#include "wiring/processes.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct trainer {
    struct training *training;
    struct room room;
    struct process_wake *done;
    struct link *reports;
    pthread_t thread;
    int running;       /* the thread exists */
    int labelled;      /* the FVE has its names */
    double steps_seen; /* when it was last asked whether it is ready */
    int result;        /* of the training; valid once `done` was called */
    char error[1024];  /* its err_text() */
};

static const char *consumer_of(const struct config *config, const struct options *options)
{
    const char *given = options_get(options, "consumer");
    if (given) return given;
    if (options_get(options, "replay")) return "replay";
    return config->trainer.consumers.count ? config->trainer.consumers.item[0] : "";
}

static int check_consumer(const struct config *config, const char *consumer, int replay)
{
    if (!message_name_ok(consumer))
        return err_set(ERR_USAGE,
                       "'%s' cannot be the name of a consumer; HINT: 1 to 63 letters, digits, "
                       "dots, dashes and underscores",
                       consumer);
    if (!replay && !config_has_consumer(config, consumer))
        return err_set(ERR_USAGE,
                       "trainer.consumers does not declare '%s', so rows would not be kept for it; "
                       "HINT: add it there, or give --consumer one that is",
                       consumer);
    if (replay && config_has_consumer(config, consumer))
        return err_set(ERR_USAGE,
                       "'%s' is a consumer of the live stream, a replay needs a name of its own; "
                       "HINT: leave --consumer out, or give it another name",
                       consumer);
    return ERR_OK;
}

/* Where nobody is declared start() says so. */
static int trainer_name(const struct config *config, const struct options *options, char *out)
{
    const char *consumer = consumer_of(config, options);
    if (options_get(options, "consumer") && !message_name_ok(consumer))
        return err_set(ERR_USAGE, "--consumer: '%s' is not a name", consumer);
    processes_name(PROCESS_TRAINER, consumer, out, MESSAGE_NAME_BYTES);
    return ERR_OK;
}

static void *train_in_thread(void *arg)
{
    struct trainer *t = arg;
    t->result = training_run(t->training);
    snprintf(t->error, sizeof t->error, "%s", err_text());
    process_wake_send(t->done);
    return NULL;
}

static void training_done(void *arg)
{
    struct process *process = arg;
    struct trainer *t = process_state(process);
    if (t->result != ERR_OK) err_set(t->result, "%s", t->error);
    process_finish(process, t->result);
}

/* All that is one per SAE, but for the FVE: it has its names once it was measured. */
static void label(struct metrics *metrics, const struct config *config)
{
    for (size_t g = 0; g < GAUGES; g++) {
        const char *label = trainer_gauges[g].label;
        if (!label || strcmp(label, "sae") != 0 || g == GAUGE_FVE) continue;
        for (uint32_t i = 0; i < config->trainer.saes_count; i++)
            metrics_label(metrics, g, i, config->trainer.saes[i].name);
    }
}

/* Of no step there is no loss, no L0 and no share of dead features; and what counts all lives is not
 * known before the checkpoint is read. */
static void not_known_yet(struct metrics *metrics, const struct config *config)
{
    static const int gauges[] = {GAUGE_LOSS,  GAUGE_BATCH_FVE,     GAUGE_L0,
                                 GAUGE_DEAD,  GAUGE_GRADIENT_NORM, GAUGE_ROWS,
                                 GAUGE_STEPS, GAUGE_SKIPPED_ROWS,  GAUGE_SKIPPED_STEPS};
    for (size_t g = 0; g < sizeof gauges / sizeof gauges[0]; g++)
        for (uint32_t i = 0; i < config->trainer.saes_count; i++)
            metrics_set_at(metrics, (size_t)gauges[g], i, NAN);
}

static int open_reports(struct process *process, struct trainer *t)
{
    return wiring_connect(process, CONFIG_FRONT, (struct link_options){0}, &t->reports);
}

static int start(struct process *process)
{
    struct trainer *t = process_state(process);
    const struct config *config = process_config(process);
    const char *replay = options_get(process_options(process), "replay");
    const char *consumer = consumer_of(config, process_options(process));
    struct training_options options = {.config = config,
                                       .consumer = consumer,
                                       .replay = replay,
                                       .metrics = process_metrics(process),
                                       .room = &t->room};
    room_init(&t->room);
    int result = check_consumer(config, consumer, replay != NULL);
    if (result == ERR_OK && !replay) result = open_reports(process, t);
    if (result == ERR_OK) result = training_new(&options, &t->training);
    if (result != ERR_OK) return result;
    label(process_metrics(process), config);
    not_known_yet(process_metrics(process), config);
    t->done = process_wake_new(process, training_done, process);
    if (!t->done) return err_set(ERR_NOMEM, "no memory for the trainer");
    if (pthread_create(&t->thread, NULL, train_in_thread, t) != 0)
        return limits_no_threads(1, "the training");
    t->running = 1;
    return ERR_OK;
}

static void drain(struct process *process)
{
    struct trainer *t = process_state(process);
    if (t->running) training_stop(t->training);
}

static void stats(struct process *process)
{
    struct trainer *t = process_state(process);
    const struct config *config = process_config(process);
    const struct options *options = process_options(process);
    room_show(&t->room, process_metrics(process), GAUGE_DISK_WAITING, process_now_ns());
    if (!options_get(options, "replay")) finish_answer_renew(config, consumer_of(config, options));
    if (t->labelled || !training_evaluated(t->training)) return;
    for (uint32_t i = 0; i < config->trainer.saes_count; i++)
        metrics_label(process_metrics(process), GAUGE_FVE, i, config->trainer.saes[i].name);
    t->labelled = 1;
}

/* Not while it waits, unless it has trained since. */
static int ready(struct process *process)
{
    struct trainer *t = process_state(process);
    struct metrics *m = process_metrics(process);
    double steps = metrics_value(m, GAUGE_STEPS);
    int has_moved = steps > t->steps_seen;
    t->steps_seen = steps;
    int result = room_health(&t->room);
    if (result != ERR_OK || has_moved || !metrics_value(m, GAUGE_WAITING)) return result;
    return err_set(ERR_STATE, "no rows to draw: it waits for the sink to store more");
}

static void stop(struct process *process)
{
    struct trainer *t = process_state(process);
    if (t->running) {
        training_stop(t->training);
        pthread_join(t->thread, NULL);
    }
    training_free(t->training);
    if (t->reports) {
        process_report_to(process, NULL);
        link_close(t->reports);
    }
    room_fini(&t->room);
}

static const struct option_spec option_table[] = {
    {"consumer", "NAME", "which of trainer.consumers this one is (default: the first)"},
    {"replay", "BUFFER",
     "train on the buffer of an ended stream, in the folder BUFFER, and free nothing: the same "
     "weights bit for bit each time"},
};

static const struct environment_spec environment[] = {
    {"OPENBLAS_CORETYPE", "the kernels that OpenBLAS takes; by default as wide as the processor's"},
    {"SLUICE_KERNELS", "plain, avx2 or avx512: our own kernels; by default the fastest that the "
                       "processor runs. Others give other last bits"},
    {"SLUICE_SCREEN", "off, plain or vnni: how candidates for the largest are found; by default "
                      "the fastest. It changes no bit"},
};

static const struct process_spec trainer_process = {
    .program =
        {.name = "sluice-trainer",
         .summary = "train sparse autoencoders on the rows of a stream",
         .description =
             "Draws random rows from the shuffle buffer of a stream and trains one or many "
             "sparse autoencoders on them, while the model runs. Checkpoints, held-out rows, "
             "exports and summary.json go to the folder RUN/NAME of the consumer.\n\n"
             "Run again, it goes on from its newest checkpoint.",
         .options = option_table,
         .options_count = sizeof option_table / sizeof option_table[0],
         .environment = environment,
         .environment_count = sizeof environment / sizeof environment[0],
         .examples = "sluice-trainer run.yaml\n"
                     "sluice-trainer run.yaml --replay /data/ended/buffer --set "
                     "trainer.seed=7\n"},
    .section = "trainer",
    .name = trainer_name,
    .metrics = trainer_gauges,
    .metrics_count = GAUGES,
    .document = curves_markdown,
    .state_bytes = sizeof(struct trainer),
    .start = start,
    .drain = drain,
    .stats = stats,
    .ready = ready,
    .stop = stop,
};

int main(int argc, char **argv)
{
    streams_open();
    sae_blas_wide(argv);
    return process_main(&trainer_process, argc, argv);
}
