#include "client/sluice.h"

#include "base/err.h"
#include "client/place.h"
#include "client/stream.h"

#include <math.h>
#include <string.h>

/* What a caller of another release has of a struct: what lies behind is 0. */
static size_t shared_bytes(size_t theirs, size_t ours)
{
    return theirs < ours ? theirs : ours;
}

static int result_of(int code)
{
    switch (code) {
    case ERR_OK:
        return SLUICE_OK;
    case ERR_USAGE:
    case ERR_LIMIT:
        return SLUICE_ERR_USAGE;
    case ERR_NOTFOUND:
        return SLUICE_ERR_ACCESS;
    case ERR_NOMEM:
    case ERR_NOSPC:
        return SLUICE_ERR_ROOM;
    default:
        return SLUICE_ERR_SYSTEM;
    }
}

const char *sluice_error(void)
{
    return err_text();
}

int sluice_open(const struct sluice_options *options, struct sluice **stream)
{
    struct sluice_options o = {0};
    *stream = NULL;
    if (options->size < offsetof(struct sluice_options, dtype)) {
        err_set(ERR_USAGE,
                "sluice_options.size is %zu; HINT: set it to sizeof(struct "
                "sluice_options)",
                options->size);
        return SLUICE_ERR_USAGE;
    }
    memcpy(&o, options, shared_bytes(options->size, sizeof o));
    return result_of(stream_open(&o, stream));
}

void sluice_close(struct sluice *stream)
{
    if (stream) stream_close(stream);
}

int sluice_set(struct sluice *s, const struct sluice_settings *settings)
{
    struct sluice_settings n = {0};
    if (!stream_is_ours(s)) return SLUICE_OK;
    memcpy(&n, settings, shared_bytes(settings->size, sizeof n));
    return result_of(stream_set(s, n.is_on, n.share, n.rows_per_second));
}

void sluice_settings(const struct sluice *s, struct sluice_settings *settings)
{
    struct sluice_settings now = {.size = settings->size};
    if (stream_is_ours(s)) {
        const struct ring_control *c = &s->ring->control;
        uint32_t share = atomic_load(&c->share);
        now.is_on = (int)atomic_load(&c->is_on);
        now.share = share == UINT32_MAX ? 1 : ldexp(share, -32);
        now.rows_per_second = ring_rate(atomic_load(&c->interval));
    }
    memcpy(settings, &now, shared_bytes(settings->size, sizeof now));
}

void sluice_counters(const struct sluice *s, struct sluice_counters *counters)
{
    struct sluice_counters now = {.size = counters->size};
    if (stream_is_ours(s)) {
        const _Atomic uint64_t *count = s->ring->host.count;
        const struct ring_reader *reader = &s->ring->reader;
        now.offered_rows = atomic_load(&count[RING_OFFERED]);
        now.written_rows = atomic_load(&count[RING_WRITTEN]);
        now.shed_rows = atomic_load(&count[RING_SHED]);
        now.limited_rows = atomic_load(&count[RING_LIMITED]);
        now.abandoned_rows = atomic_load(&count[RING_ABANDONED]);
        now.ambiguous_rows = atomic_load(&count[RING_AMBIGUOUS]);
        now.reused_rows = atomic_load(&count[RING_REUSED]);
        now.no_token_rows = atomic_load(&count[RING_NO_TOKEN]);
        now.steered_rows = atomic_load(&count[RING_STEERED]);
        now.excluded_rows = atomic_load(&count[RING_EXCLUDED]);
        now.sequences = atomic_load(&count[RING_SEQUENCES]);
        now.sequences_not_taken = atomic_load(&count[RING_NOT_TAKEN]);
        now.read_rows = atomic_load(&reader->rows);
        now.reader_seen_ns = atomic_load(&reader->seen_ns);
        now.is_refused = atomic_load(&reader->verdict) == RING_REFUSED;
        if (now.is_refused) memcpy(now.reason, reader->reason, sizeof now.reason);
        now.reason[sizeof now.reason - 1] = '\0';
    }
    memcpy(counters, &now, shared_bytes(counters->size, sizeof now));
}

void sluice_leave_out(struct sluice *s, enum sluice_left_out why, uint64_t rows)
{
    static const enum ring_count counts[] = {
        [SLUICE_AMBIGUOUS] = RING_AMBIGUOUS, [SLUICE_REUSED] = RING_REUSED,
        [SLUICE_NO_TOKEN] = RING_NO_TOKEN,   [SLUICE_STEERED] = RING_STEERED,
        [SLUICE_EXCLUDED] = RING_EXCLUDED,
    };
    if (stream_is_ours(s) && (unsigned)why < sizeof counts / sizeof counts[0])
        stream_count(s, counts[why], rows);
}
