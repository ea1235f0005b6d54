#include "sink/stock.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "buffer/retention.h"
#include "proto/message.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_TRIES = 3 };

static int take_text(struct stock *s, const char *text, size_t bytes)
{
    struct descriptor d;
    int result = descriptor_decode(text, bytes, &d);
    if (result != ERR_OK) return result;
    char *copy = strndup(text, bytes);
    if (!copy || !d.measured || !d.rows_per_slab) {
        result = copy ? err_set(ERR_FORMAT, "the stream's descriptor is not complete")
                      : err_set(ERR_NOMEM, "no memory for the stream's descriptor");
        free(copy);
        descriptor_free(&d);
        return result;
    }
    descriptor_free(&s->descriptor);
    free(s->text);
    s->descriptor = d;
    s->text = copy;
    s->text_bytes = bytes;
    return ERR_OK;
}

/* Whether what was read is to blame, and not the reading. */
static int is_bad(int code)
{
    return code == ERR_FORMAT || code == ERR_VERSION || code == ERR_LIMIT;
}

static int blame_file(const struct stock *s, int code)
{
    if (!is_bad(code)) return code;
    return err_set(code,
                   "%s: %s; HINT: move this file away: the buffer and each checkpoint have a copy, "
                   "and it is written again",
                   s->descriptor_file, err_text());
}

static int blame_buffer(const struct stock *s, int code)
{
    if (!is_bad(code)) return code;
    return err_set(code,
                   "the descriptor in the buffer %s: %s; HINT: stop the run and move that folder "
                   "away: what consumers still need is made again",
                   s->buffer_dir, err_text());
}

int stock_open(struct stock *s, const struct config *config)
{
    memset(s, 0, sizeof *s);
    s->config = config;
    int result = config_buffer_dir(config, s->buffer_dir);
    if (result != ERR_OK) return result;
    if (snprintf(s->descriptor_file, sizeof s->descriptor_file, "%s/descriptor.json",
                 config->run_dir) >= (int)sizeof s->descriptor_file)
        return err_set(ERR_LIMIT, "stream.run_dir is too long a path");
    char *text;
    size_t bytes;
    result = own_read(s->descriptor_file, MESSAGE_MAX_TEXT_BYTES, &text, &bytes);
    if (result == ERR_NOTFOUND) return ERR_OK;
    if (result != ERR_OK) return blame_file(s, result);
    result = blame_file(s, take_text(s, text, bytes));
    free(text);
    if (result == ERR_FORMAT) { /* the buffer has it too, and is opened for the first producer */
        log_warn("%s is damaged and is made again: %s", s->descriptor_file, err_text());
        return ERR_OK;
    }
    return result != ERR_OK ? result : stock_prepare(s, &s->descriptor);
}

void stock_close_store(struct stock *s)
{
    if (s->store) store_close(s->store);
    s->store = NULL;
    s->was_set_aside = 0;
}

void stock_give_up(struct stock *s)
{
    stock_close_store(s);
    s->is_given_up = 1;
}

void stock_close(struct stock *s)
{
    stock_close_store(s);
    descriptor_free(&s->descriptor);
    free(s->text);
    s->text = NULL;
}

uint32_t stock_rows_per_slab(const struct stock *s)
{
    return store_state(s->store)->rows_per_slab;
}

static int set_aside(struct stock *s)
{
    char where[CONFIG_PATH_BYTES];
    if (!s->is_given_up) log_error("the buffer cannot be trusted: %s", err_text());
    int result = store_set_aside(s->buffer_dir, where, sizeof where);
    if (result != ERR_OK) return result;
    s->is_given_up = 0;
    log_event(LOG_WARN,
              where[0] ? "the damaged buffer was set aside; what consumers still need is made again"
                       : "nothing is left of the buffer; what consumers still need is made again",
              LOG_S("folder", where));
    s->was_set_aside = 1;
    s->set_aside++;
    return ERR_OK;
}

/* A reader that came in the middle of it may have left a table of readers of its own. */
static int open_store(struct stock *s, const struct descriptor *d)
{
    const struct config_sink *c = &s->config->sink;
    struct store_options options = {
        .dir = s->buffer_dir,
        .stream = s->config->stream.name,
        .size_bytes = c->size_bytes,
        .slab_bytes = store_slab_setting(c->slab_bytes),
        .width = d->width,
        .dtype = d->dtype,
        .durability = c->durability == CONFIG_POWER ? DURABILITY_POWER : DURABILITY_PROCESS,
        .scrubs = s->config->sink.retention_seconds > 0,
    };
    int result = s->is_given_up ? ERR_CORRUPT : store_open(&options, &s->store);
    for (int i = 0; result == ERR_CORRUPT && i < OPEN_TRIES; i++) {
        result = set_aside(s);
        if (result == ERR_OK) result = store_open(&options, &s->store);
    }
    return result;
}

/* The descriptor in the store and the one in the file are one: here the file's is put back where it
 * is missing, in show_buffer() the store's. */
static int take_descriptor(struct stock *s)
{
    char *text;
    size_t bytes;
    int result = store_descriptor_get(s->store, &text, &bytes);
    if (result != ERR_OK) return result == ERR_NOTFOUND ? ERR_OK : result;
    result = blame_buffer(s, take_text(s, text, bytes));
    if (result == ERR_OK) result = file_replace(s->descriptor_file, text, bytes);
    free(text);
    return result;
}

int stock_prepare(struct stock *s, const struct descriptor *d)
{
    if (s->store) return ERR_OK;
    int result = open_store(s, d);
    if (result == ERR_OK) result = take_descriptor(s);
    if (result == ERR_OK && s->descriptor.measured &&
        s->descriptor.rows_per_slab != stock_rows_per_slab(s))
        result = err_set(ERR_MISMATCH,
                         "the stream's frames have %u rows, the buffer's slabs %u; HINT: restore "
                         "sink.size and sink.slab, or start over with --fresh",
                         s->descriptor.rows_per_slab, stock_rows_per_slab(s));
    if (result == ERR_OK && s->config->trainer.consumers.count)
        result = config_check_rows(s->config, d->width,
                                   store_capacity(s->store) * stock_rows_per_slab(s));
    if (result == ERR_OK)
        result = store_check_producers(store_capacity(s->store), s->config->capture.producers);
    if (result == ERR_OK)
        result = retention_write(s->buffer_dir, s->config->sink.retention_seconds);
    if (result != ERR_OK && s->store) {
        store_close(s->store);
        s->store = NULL;
    }
    return result;
}

int stock_describe(struct stock *s, const struct descriptor *asked, const char *text, size_t bytes)
{
    struct descriptor d;
    char *full = NULL;
    size_t full_bytes;
    if (s->descriptor.measured) return err_set(ERR_STATE, "the stream is described already");
    int result = descriptor_decode(text, bytes, &d);
    if (result != ERR_OK) return result;
    result = descriptor_match(asked, &d);
    if (result != ERR_OK) {
        descriptor_free(&d);
        return result;
    }
    d.run = store_state(s->store)->run;
    d.rows_per_slab = stock_rows_per_slab(s);
    result = descriptor_encode(&d, &full, &full_bytes);
    descriptor_free(&d);
    if (result == ERR_OK) result = take_text(s, full, full_bytes);
    if (result == ERR_OK) result = file_replace(s->descriptor_file, full, full_bytes);
    if (result == ERR_OK) result = store_descriptor_put(s->store, full, full_bytes);
    if (result != ERR_OK) descriptor_free(&s->descriptor);
    free(full);
    return result;
}

/* A record went with the buffer, but this life of the sink knows it: all below its next_number was
 * stored or covered, and where nobody says what is covered all of it is made again. */
static int remembered(const struct stock *s, const struct session *session, size_t consumers,
                      struct store_producer *record)
{
    if (record->next_number || !s->was_set_aside || !session->record.epoch) return 0;
    *record = session->record;
    if (consumers || s->config->stream.policy == CONFIG_SHED) return 1;
    record->past_totals.captured_rows -= record->rows;
    record->rows = 0;
    record->next_number = 1;
    record->cursor = (struct cursor){0};
    record->ended = 0;
    return 1;
}

/* Numbers of a live stream are never used twice: after the buffer is lost, go on beyond all that
 * anybody knows of, or may have seen since. Consumers skip what lies between: a full buffer. */
static int number_beyond(const struct stock *s, const struct consumers *consumers,
                         uint32_t producer, struct store_producer *record)
{
    uint64_t highest = consumers_highest(consumers, producer);
    if (record->next_number || (!highest && !s->was_set_aside)) return 0;
    record->next_number = highest + store_capacity(s->store) + 1;
    record->epoch = consumers_epoch(consumers, producer);
    return 1;
}

static int records_in_transaction(struct stock *s, const struct consumers *consumers,
                                  struct sessions *sessions, uint32_t *rewound)
{
    struct coverage coverage = consumers_coverage(consumers);
    int is_live = s->config->stream.policy == CONFIG_SHED;
    for (uint32_t p = 0; p < sessions->producers; p++) {
        struct store_producer record = {0};
        int result = store_producer_get(s->store, p, &record);
        if (result != ERR_OK && result != ERR_NOTFOUND) return result;
        int known = remembered(s, &sessions->session[p], coverage.consumers, &record);
        int changed = is_live ? number_beyond(s, consumers, p, &record)
                              : coverage_rewind(&coverage, s->store, p, &record);
        if (changed || known) {
            log_event(LOG_WARN,
                      is_live ? "the buffer was lost: what was in it is skipped"
                              : "frames that a consumer needs are not there: they are made again",
                      LOG_U("producer", p), LOG_U("from_number", record.next_number));
            result = store_producer_put(s->store, p, &record);
            if (result != ERR_OK) return result;
            ++*rewound;
        }
        if (!record.next_number) record.next_number = 1;
        sessions_record(sessions, p, &record);
    }
    return ERR_OK;
}

/* Nobody draws from a buffer without a descriptor, so it comes last: whoever finds it finds the
 * records as well. */
static int show_buffer(struct stock *s)
{
    int result = s->text ? store_descriptor_put(s->store, s->text, s->text_bytes) : ERR_OK;
    return result == ERR_EXISTS ? ERR_OK : result;
}

int stock_records(struct stock *s, const struct consumers *consumers, struct sessions *sessions,
                  uint32_t *rewound)
{
    *rewound = 0;
    int result = store_begin(s->store);
    if (result != ERR_OK) return result;
    result = records_in_transaction(s, consumers, sessions, rewound);
    if (result != ERR_OK || !*rewound)
        store_abort(s->store);
    else
        result = store_commit(s->store);
    return result != ERR_OK ? result : show_buffer(s);
}
