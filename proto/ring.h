/*
 * The ring of rows between a host program and sluice-capture: a file in shared memory that the host
 * writes (client/) and one reader reads (engine/ring). PROTOCOL.md has the layout, byte for byte.
 *
 * Holds:
 * - Places are numbered without end. Place p lies in record p mod records. A writer takes places below
 *   tail + records, fills them and publishes each by its turn, p + 1. The reader reads place `tail` once
 *   it has that turn, wipes it, and raises `tail`.
 * - Nobody waits for the other. A full ring is a row that the host counts as shed.
 * - offered = written + shed + limited + abandoned, and written = tail + what waits, to the row, once no
 *   call is under way.
 */
#ifndef SLUICE_PROTO_RING_H
#define SLUICE_PROTO_RING_H

#include "base/row.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

enum {
    RING_VERSION = 1,
    RING_PAGE_BYTES = 4096,
    RING_LINE_BYTES = 64,
    RING_MAX_RECORDS = 1 << 24,
    RING_NUMBER_BITS = 40, /* of a sequence's number; above it the ring's epoch */
};
#define RING_MAGIC            "SLUICERG"
#define RING_MAX_BYTES        (UINT64_C(1) << 40)
#define RING_UNITS_PER_SECOND 256e9 /* of the limiter's time: 2^-8 ns */
#define RING_LOWEST_RATE      1e-3  /* rows per second that a person may set as a limit; */
#define RING_HIGHEST_RATE     1e9   /* 0: none */

/* What a host counts: rows, unless they say otherwise. */
enum ring_count {
    RING_OFFERED,   /* that were handed over while the ring was on */
    RING_WRITTEN,   /* published, for the reader */
    RING_SHED,      /* found no room */
    RING_LIMITED,   /* above rows_per_second */
    RING_ABANDONED, /* had room and were given up: the pass that made them failed */
    RING_AMBIGUOUS, /* two sequences could claim them */
    RING_REUSED,    /* found in the engine's cache: another sequence's rows, not captured again */
    RING_NO_TOKEN,  /* made of embeddings, not of tokens */
    RING_STEERED,   /* of sequences that were steered: left out */
    RING_EXCLUDED,  /* of sequences that their caller excluded */
    RING_SEQUENCES, /* sequences begun */
    RING_NOT_TAKEN, /* of them, those outside the share */
    RING_COUNTS,
};

/* Their names in metrics. */
extern const char *const ring_count_labels[RING_COUNTS];

enum ring_verdict {
    RING_UNSEEN, /* no reader has looked yet */
    RING_READ,   /* a reader takes its rows */
    RING_REFUSED /* a reader does not: `reason` */
};

enum ring_row_flags {
    RING_ROW_SPECIAL = 1, /* the token is a special one */
    RING_ROW_FIRST = 2,   /* position 0: an attention sink */
    RING_ROW_NONE = 4,    /* an abandoned place: no row */
};

struct ring_hook {
    char name[64];
    uint32_t width;
    uint32_t reserved; /* 0 */
};

/* Never changes once the file has its name. */
struct ring_facts {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes; /* where records begin: a multiple of RING_PAGE_BYTES */
    uint32_t record_bytes; /* a multiple of RING_LINE_BYTES */
    uint32_t records;      /* a power of 2 */
    uint32_t width;        /* values of a row */
    uint32_t hooks;
    uint32_t dtype;          /* DTYPE_BF16 or DTYPE_F32 */
    uint32_t pid;            /* of the host, in its own namespace */
    uint64_t pid_started;    /* field 22 of /proc/PID/stat */
    uint64_t identity;       /* random */
    uint64_t born_ns;        /* wall clock */
    uint64_t born_steady_ns; /* CLOCK_MONOTONIC */
    uint64_t model_key;    /* rows of two are not mixed: of model_file's bytes, or the host's own */
    uint32_t prepends_bos; /* contexts begin with the model's BOS token */
    uint32_t reserved;     /* 0 */
    char precision[32];    /* of the model's weights; "": unknown */
    char program[64];
    char stream[64];
    char model[256];       /* a name, for people */
    char model_file[1024]; /* "": unknown */
    struct ring_hook hook[ROW_MAX_HOOKS];
};

/* May be written by anybody who may open the file. */
struct ring_control {
    _Atomic uint32_t is_on;
    _Atomic uint32_t share;    /* of the sequences that begin, in 2^-32; UINT32_MAX: all */
    _Atomic uint64_t interval; /* between rows, in 2^-8 ns; 0: no limit */
};

/* Written by the host. */
struct ring_host {
    alignas(RING_LINE_BYTES) _Atomic uint64_t head; /* the next place that nobody has taken */
    alignas(RING_LINE_BYTES) _Atomic uint64_t next; /* limiter: in 2^-8 ns since born_steady_ns */
    _Atomic uint64_t number;                        /* of the last sequence that was begun */
    _Atomic uint32_t is_closed;                     /* nothing more comes */
    alignas(RING_LINE_BYTES) _Atomic uint64_t count[RING_COUNTS];
};

/* Written by the reader. */
struct ring_reader {
    alignas(RING_LINE_BYTES) _Atomic uint64_t tail; /* the next place to be read */
    _Atomic uint64_t rows;      /* that it took: places without the abandoned ones */
    _Atomic uint64_t seen_ns;   /* wall clock, when a reader last looked */
    _Atomic uint32_t verdict;   /* enum ring_verdict */
    _Atomic uint32_t epoch;     /* of the ring in its stream; 0: none yet */
    _Atomic uint64_t told_shed; /* of RING_SHED, those that the stream has counted */
    char reason[256];           /* RING_REFUSED: why, written before the verdict */
};

struct ring_header {
    struct ring_facts facts;
    alignas(RING_PAGE_BYTES) struct ring_control control;
    struct ring_host host;
    alignas(RING_PAGE_BYTES) struct ring_reader reader;
};

/* Before a record's values. */
struct ring_record {
    _Atomic uint64_t turn; /* its place + 1 once it is published */
    struct row_id id;      /* .sequence: the host's number, below 2^RING_NUMBER_BITS */
    uint32_t flags;        /* enum ring_row_flags */
    uint32_t reserved;
    uint64_t captured_ns; /* wall clock */
    uint64_t unused;
};

_Static_assert(sizeof(struct ring_record) == 48, "as PROTOCOL.md has it");
_Static_assert(sizeof(struct ring_header) % RING_PAGE_BYTES == 0, "records begin with a page");

/* Bytes of a value, and of a record of so many. */
static inline uint32_t ring_value_bytes(uint32_t dtype)
{
    return dtype == DTYPE_F32 ? 4 : 2;
}
static inline uint32_t ring_record_bytes(uint32_t dtype, uint32_t width)
{
    uint32_t bytes = (uint32_t)sizeof(struct ring_record) + width * ring_value_bytes(dtype);
    return (bytes + RING_LINE_BYTES - 1) / RING_LINE_BYTES * RING_LINE_BYTES;
}
static inline uint64_t ring_bytes(const struct ring_facts *f)
{
    return f->header_bytes + (uint64_t)f->record_bytes * f->records;
}

/* As struct ring_control has them. A share of 0 or 1: all; else 1 at least, since 0 would be none, and all
 * for whoever reads and sets it. The lower of both limits holds, bytes being
 * those of a row's values in the ring; 0: no limit. */
uint32_t ring_share(double share);
uint64_t ring_interval(const struct ring_facts *facts, double rows_per_second,
                       uint64_t bytes_per_second);
/* Rows of `width` values of an enum dtype per second that have so many bytes. */
double ring_rate_of_bytes(uint32_t width, uint32_t dtype, uint64_t bytes_per_second);

/* Rows per second of such an interval; 0: no limit. */
double ring_rate(uint64_t interval);

/* Whether these are the facts of a ring that this build reads, in a file of `file_bytes`. Looks at
 * nothing else. ERR_FORMAT: no ring, or a damaged one; ERR_VERSION. */
int ring_check(const struct ring_facts *facts, uint64_t file_bytes);

/* Whether the stream has counted all that was shed, or refuses the program, whose rows are not its. */
int ring_shed_is_told(const struct ring_header *ring);

#endif
