#include "cli/snapshot.h"

#include "base/err.h"
#include "base/limits.h"
#include "config/address.h"
#include "proto/phase.h"
#include "proto/report.h"
#include "runtime/left_out.h"
#include "wiring/processes.h"
#include "wiring/security.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MS = 500, LINK_THREADS = 2 };

int snapshot_open(const struct config *config, struct ask **ask)
{
    char endpoint[CONFIG_PATH_BYTES];
    struct link_security security;
    struct link_options options = {.endpoint = endpoint};
    int result = limits_threads(LINK_THREADS, "ZeroMQ");
    if (result == ERR_OK) result = config_endpoint(config, CONFIG_FRONT, endpoint);
    if (result == ERR_OK) result = security_of(config, CONFIG_FRONT, 0, NULL, &security, &options);
    if (result == ERR_OK) result = ask_open(options, ask);
    explicit_bzero(&security, sizeof security);
    return result;
}

/* Nothing answers where there is no socket: that needs no waiting for. Where we may not look, or not
 * connect, there may be one that answers others. */
static int is_there(const struct config *config)
{
    char endpoint[CONFIG_PATH_BYTES];
    int result = config_endpoint(config, CONFIG_FRONT, endpoint);
    if (result != ERR_OK) return result;
    const char *path = address_socket_path(endpoint);
    if (!path || access(path, W_OK) == 0) return ERR_OK;
    if (errno == ENOENT || errno == ENOTDIR)
        return err_set(ERR_NOTFOUND, "there is no socket %s", path);
    return err_set(ERR_IO, "cannot reach the broker's socket %s: %s%s", path, strerror(errno),
                   errno == EACCES ? "; HINT: ask as the user who runs the stream" : "");
}

int snapshot_is_silence(int result)
{
    return result == ERR_NOTFOUND || result == ERR_AGAIN;
}

int snapshot_ask(const struct config *config, struct ask *ask, json_t **status)
{
    char *text;
    size_t bytes;
    json_error_t error;
    int result = is_there(config);
    if (result == ERR_OK) result = ask_status(ask, ANSWER_MS, &text, &bytes);
    if (result != ERR_OK) return result;
    *status = json_loadb(text, bytes, 0, &error);
    free(text);
    return *status ? ERR_OK : err_set(ERR_FORMAT, "the broker's status is no JSON: %s", error.text);
}

int snapshot_fetch(const struct config *config, json_t **status)
{
    struct ask *ask;
    int result = is_there(config);
    if (result == ERR_OK) result = snapshot_open(config, &ask);
    if (result != ERR_OK) return result;
    result = snapshot_ask(config, ask, status);
    ask_close(ask);
    return result;
}

static void add(double *total, double value)
{
    if (isnan(value)) return;
    *total = (isnan(*total) ? 0 : *total) + value;
}

static void greatest(double *total, double value)
{
    if (!isnan(value) && !(*total > value)) *total = value;
}

/* The three of REPORT_DISK, which stand in a row from `waiting` on. A process that is silent waits
 * for nothing that anybody knows of. */
static void read_disk(const json_t *report, enum report_id waiting, const char *process,
                      struct disk_wait *wait)
{
    double seconds = report_number(report, waiting);
    if (!(seconds > wait->seconds || isnan(wait->seconds))) return;
    *wait = (struct disk_wait){seconds, report_number(report, waiting + 1),
                               report_number(report, waiting + 2), ""};
    snprintf(wait->process, sizeof wait->process, "%s", process);
}

/* What became of the rows: over all lives, where the capture tells that. */
static void read_rows(const json_t *report, struct snapshot *s)
{
    enum report_id all = REPORT_CAPTURE_STREAM_ROWS;
    if (!(report_number(report, all) > 0)) {
        add(&s->tokens, report_number(report, REPORT_CAPTURE_TOKENS));
        add(&s->captured_rows, report_number(report, REPORT_CAPTURE_ROWS));
        add(&s->rejected_rows, report_number(report, REPORT_CAPTURE_REJECTED_ROWS));
        add(&s->filtered_rows, report_number(report, REPORT_CAPTURE_FILTERED_ROWS));
        return;
    }
    double special = report_labelled(report, all, report_fates[REPORT_SPECIAL]);
    double first = report_labelled(report, all, report_fates[REPORT_FIRST]);
    double norm = report_labelled(report, all, report_fates[REPORT_NORM]);
    double rejected = report_labelled(report, all, report_fates[REPORT_REJECTED]);
    add(&s->tokens, report_number(report, all));
    add(&s->captured_rows, report_labelled(report, all, report_fates[REPORT_KEPT]) + rejected);
    add(&s->rejected_rows, rejected);
    add(&s->filtered_rows, special + first + norm);
    add(&s->special_rows, special);
    add(&s->first_rows, first);
    add(&s->norm_rows, norm);
}

static void read_documents(const json_t *report, struct snapshot *s)
{
    double read = report_number(report, REPORT_CAPTURE_DOCUMENTS_READ);
    if (isnan(read) || s->documents >= read) return;
    s->documents = read;
    s->skipped = report_number(report, REPORT_CAPTURE_DOCUMENTS_SKIPPED);
    s->replaced = report_number(report, REPORT_CAPTURE_DOCUMENTS_REPLACED);
}

static void read_phase_of_capture(const json_t *report, struct snapshot *s)
{
    int phase = phase_of_capture(report);
    s->streaming_captures += phase == PHASE_STREAMING;
    if (phase < 0 || (s->capture_phase >= 0 && s->capture_phase <= phase)) return;
    s->capture_phase = phase;
    s->capture_phase_done = report_number(report, REPORT_CAPTURE_PHASE_DONE);
    s->capture_phase_size = report_number(report, REPORT_CAPTURE_PHASE_SIZE);
}

static void read_phase_of_trainer(const json_t *report, struct snapshot *s)
{
    int phase = phase_of_trainer(report);
    if (phase < 0 || (s->trainer_phase >= 0 && s->trainer_phase <= phase)) return;
    s->trainer_phase = phase;
    s->trainer_phase_done = report_number(report, REPORT_TRAINER_PHASE_DONE);
    s->trainer_phase_size = report_number(report, REPORT_TRAINER_PHASE_SIZE);
}

static void read_capture(const json_t *report, const char *name, int is_fresh, struct snapshot *s)
{
    s->captures++;
    read_rows(report, s);
    read_documents(report, s);
    if (is_fresh) read_phase_of_capture(report, s);
    if (is_fresh) read_disk(report, REPORT_CAPTURE_DISK_WAITING_SECONDS, name, &s->capture_disk);
    add(&s->shed_rows, report_shed_rows(report));
    greatest(&s->planned_rows, report_number(report, REPORT_STREAM_PLANNED_ROWS));
}

static void read_sink(const json_t *report, const char *name, struct snapshot *s)
{
    s->sinks++;
    double all = report_number(report, REPORT_SINK_STREAM_ROWS),
           life = report_number(report, REPORT_SINK_ROWS);
    add(&s->stored_rows, isnan(all) ? life : all);
    add(&s->life_rows, life);
    read_disk(report, REPORT_SINK_DISK_WAITING_SECONDS, name, &s->sink_disk);
    add(&s->producers, report_number(report, REPORT_SINK_PRODUCERS));
    add(&s->ended_producers, report_number(report, REPORT_SINK_ENDED_PRODUCERS));
    add(&s->buffer_slabs, report_number(report, REPORT_SINK_BUFFER_SLABS));
    add(&s->buffer_capacity_slabs, report_number(report, REPORT_SINK_CAPACITY_SLABS));
}

static void read_trainer(const json_t *report, const char *name, struct snapshot *s)
{
    double rows = report_number(report, REPORT_TRAINER_ROWS);
    if (!isnan(rows) && !(s->trained_rows <= rows)) s->trained_rows = rows; /* the least */
    greatest(&s->planned_draws, report_number(report, REPORT_TRAINER_PLANNED_ROWS));
    read_phase_of_trainer(report, s);
    read_disk(report, REPORT_TRAINER_DISK_WAITING_SECONDS, name, &s->trainer_disk);
    greatest(&s->missed_rows, report_number(report, REPORT_TRAINER_SKIPPED_ROWS));
    if (s->trainers++ > 0) return;
    s->fve = report_first(report, REPORT_TRAINER_FVE);
    s->l0 = report_first(report, REPORT_TRAINER_L0);
    s->dead = report_first(report, REPORT_TRAINER_DEAD_FEATURES);
    s->features = report_first(report, REPORT_TRAINER_FEATURES);
    s->held_out_rows = report_number(report, REPORT_TRAINER_HELD_OUT_ROWS);
}

int snapshot_has(const json_t *status, const char *name)
{
    json_t *process;
    size_t i;
    json_array_foreach(json_object_get(status, "processes"), i, process)
    {
        const char *its = json_string_value(json_object_get(process, "name"));
        double age = json_number_value(json_object_get(process, "age_seconds"));
        if (its && strcmp(its, name) == 0 && age <= REPORT_SILENT_SECONDS) return 1;
    }
    return 0;
}

/* Every number is unknown. */
static struct snapshot unknown(void)
{
    static const struct disk_wait nobody = {NAN, NAN, NAN, ""};
    return (struct snapshot){
        .tokens = NAN,
        .captured_rows = NAN,
        .stored_rows = NAN,
        .life_rows = NAN,
        .planned_rows = NAN,
        .shed_rows = NAN,
        .rejected_rows = NAN,
        .filtered_rows = NAN,
        .special_rows = NAN,
        .first_rows = NAN,
        .norm_rows = NAN,
        .documents = NAN,
        .skipped = NAN,
        .replaced = NAN,
        .buffer_slabs = NAN,
        .buffer_capacity_slabs = NAN,
        .trained_rows = NAN,
        .planned_draws = NAN,
        .fve = NAN,
        .l0 = NAN,
        .dead = NAN,
        .features = NAN,
        .held_out_rows = NAN,
        .missed_rows = NAN,
        .producers = NAN,
        .ended_producers = NAN,
        .sink_disk = nobody,
        .trainer_disk = nobody,
        .capture_disk = nobody,
        .capture_phase = -1,
        .trainer_phase = -1,
    };
}

void snapshot_read(const json_t *status, struct snapshot *snapshot)
{
    struct snapshot s = unknown();
    json_t *processes = json_object_get(status, "processes"), *process;
    size_t i;
    json_array_foreach(processes, i, process)
    {
        const char *kind = json_string_value(json_object_get(process, "kind"));
        const char *name = json_string_value(json_object_get(process, "name"));
        const json_t *report = json_object_get(process, "report");
        int is_fresh =
            json_number_value(json_object_get(process, "age_seconds")) <= REPORT_SILENT_SECONDS;
        /* A capture that has ended is silent; its totals still count. */
        int which = kind && name ? processes_kind_of(kind) : -1;
        if (!is_fresh && which != PROCESS_CAPTURE) continue;
        if (which == PROCESS_CAPTURE) read_capture(report, name, is_fresh, &s);
        if (which == PROCESS_SINK) read_sink(report, name, &s);
        if (which == PROCESS_TRAINER) read_trainer(report, name, &s);
    }
    *snapshot = s;
}

void snapshot_take_files(const struct config *config, struct snapshot *s)
{
    struct left_out l;
    if (left_out_read_all(config, &l) != ERR_OK) return;
    if (l.has_corpus && !(s->documents >= (double)l.documents)) {
        s->documents = (double)l.documents;
        s->skipped = (double)left_out_skipped(&l);
        s->replaced = (double)l.replaced;
    }
    if (!(s->shed_rows >= (double)l.shed_rows)) s->shed_rows = (double)l.shed_rows;
    if (s->tokens >= (double)left_out_rows(&l)) return;
    s->tokens = (double)left_out_rows(&l);
    s->captured_rows = (double)(l.kept_rows + l.rejected_rows);
    s->filtered_rows = (double)left_out_filtered(&l);
    s->special_rows = (double)l.special_rows;
    s->first_rows = (double)l.first_rows;
    s->norm_rows = (double)l.norm_rows;
    s->rejected_rows = (double)l.rejected_rows;
}
