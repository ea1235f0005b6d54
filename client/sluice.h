/*
 * libsluice: hand the activations of a running program to Sluice.
 *
 *   struct sluice_hook hook = {"resid_post.15", 576};
 *   struct sluice_options options = {.size = sizeof options, .stream = "live", .hooks = &hook,
 *                                    .hooks_count = 1, .model = "my-model"};
 *   struct sluice *s;
 *   if (sluice_open(&options, &s) != SLUICE_OK) { puts(sluice_error()); s = NULL; }
 *
 *   uint64_t sequence = sluice_sequence(s);        // at the start of a request
 *   struct sluice_row row = {sequence, position, token, 0};
 *   sluice_put(s, 1, &row, values);                // for each token: (1, 576) float32
 *
 *   sluice_close(s);
 *
 * What it does to your program: it writes rows into a ring of a fixed size in shared memory, and no
 * more. No thread, no socket, no signal, no abort(), no output. After sluice_open() nothing is
 * allocated, and nothing waits, unless you chose SLUICE_BLOCK. If nobody reads, the ring fills up, and
 * further rows are counted and dropped. A reader (`sluice up`, engine ring) may come before or after,
 * die, and come back.
 *
 * Every function but sluice_open() takes NULL for a stream and does nothing, so that a program goes on
 * where no stream could be opened. All may be called from several threads at once, but for
 * sluice_close(), after which nothing else may be called. In a child that was forked they do nothing.
 *
 * The ABI: structs that a caller fills begin with `size`; fields are added at the end alone. A library
 * of the same SLUICE_ABI runs programs that were built with an older header.
 */
#ifndef SLUICE_H
#define SLUICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_ABI 1

struct sluice;

enum sluice_result {
    SLUICE_OK = 0,
    SLUICE_ERR_USAGE,  /* an option makes no sense */
    SLUICE_ERR_ACCESS, /* the folder of rings is not this user's alone, or may not be written */
    SLUICE_ERR_ROOM,   /* no shared memory, or no address space, of that size */
    SLUICE_ERR_SYSTEM, /* the system refused something else */
};

enum sluice_dtype { SLUICE_BF16 = 0, SLUICE_F32 = 1 };

enum sluice_policy {
    SLUICE_SHED = 0, /* a row that finds no room is counted and dropped: never blocks */
    SLUICE_BLOCK = 1 /* the caller waits for room while a reader is there (seen within 5 s) */
};

struct sluice_hook {
    const char *name; /* as the stream's configuration has it: "resid_post.15" */
    uint32_t width;   /* values */
};

struct sluice_options {
    size_t size;        /* sizeof(struct sluice_options) */
    const char *stream; /* its name in the configuration */
    const struct sluice_hook *hooks;
    uint32_t hooks_count;    /* 1 to 128; a row holds the values of all, side by side */
    enum sluice_dtype dtype; /* in the ring */
    enum sluice_policy policy;
    uint64_t ring_bytes;    /* of shared memory, rounded down to a power of 2 rows; 0: 64 MiB */
    const char *folder;     /* of rings; NULL: /dev/shm/sluice-UID/STREAM */
    const char *program;    /* for people; NULL: the process's name */
    const char *model;      /* for people, and for who loads the SAE; NULL: "unknown" */
    const char *model_file; /* its path, as this program sees it; NULL: unknown */
    /* Rows of two keys are not mixed. 0: it is made of model_file; where there is none either, programs
     * of one `model` are taken to run the same. */
    uint64_t model_key;
    double share;           /* of sequences that are captured, whole ones; 0: all */
    double rows_per_second; /* at most, on average over a second; 0: no limit */
    int starts_off;         /* 1: nothing is captured before sluice_set() or `sluice tap on` */
    const char *precision;  /* of the model's weights, for people: "q4_k"; NULL: unknown */
    int prepends_bos;       /* 1: contexts begin with the model's BOS token */
};

/* Open a stream: makes the ring, and removes those of dead programs in its folder that hold no row.
 * Blocks for as long as its memory takes to be had and, where it makes the key, a page of each MiB of
 * model_file to be read (4 MiB at least): milliseconds, some 0.1 s for 16 GiB. On failure *stream is
 * NULL and sluice_error() tells why. */
int sluice_open(const struct sluice_options *options, struct sluice **stream);

/* The reason of this thread's last failure, in a sentence; never NULL. Owned by the library. */
const char *sluice_error(void);

/* 1: rows are wanted: the stream is on, and its reader has not refused it. A cheap look. */
int sluice_is_on(const struct sluice *stream);

/* Begin a sequence (a request, a context window). Its number, never given twice by this ring; 0: this
 * sequence is outside the share, or the stream is off. Rows of sequence 0 are not taken. */
uint64_t sluice_sequence(struct sluice *stream);

enum sluice_row_flags {
    SLUICE_SPECIAL = 1, /* the token is a special one (BOS, EOS, a marker) */
    SLUICE_FIRST = 2    /* position 0 of its context: an attention sink */
};

struct sluice_row {
    uint64_t sequence; /* of sluice_sequence() */
    uint32_t position; /* in it; (sequence, position) may name one row only */
    uint32_t token;    /* its id */
    uint32_t flags;    /* enum sluice_row_flags */
    uint32_t reserved; /* 0 */
};

/* Hand over n rows: values (n, width of all hooks together) float32. One conversion and one copy a row.
 * Returns how many were taken; the others were counted as shed or limited. Rows of sequence 0 are
 * passed over. */
uint32_t sluice_put(struct sluice *stream, uint32_t n, const struct sluice_row *rows,
                    const float *values);

/* The same in parts, for values that come hook by hook, or for rows that may have to be given up:
 * reserve, write each hook of each row, then publish or abandon. The reader waits at a reserved place,
 * so do not keep it for longer than a pass of the model. */
struct sluice_place {
    uint64_t first; /* place of the first record */
    uint32_t rows;  /* that were granted */
    uint32_t reserved;
};
/* Room for up to n rows; place->rows is what was granted, the rest is counted as shed or limited.
 * Returns place->rows. */
uint32_t sluice_reserve(struct sluice *stream, uint32_t n, struct sluice_place *place);
/* Row i's values of one hook, of that hook's width. */
void sluice_write(struct sluice *stream, const struct sluice_place *place, uint32_t i,
                  uint32_t hook, const float *values);
/* Every hook of every row was written: these are their identities (place->rows). */
void sluice_publish(struct sluice *stream, const struct sluice_place *place,
                    const struct sluice_row *rows);
void sluice_abandon(struct sluice *stream, const struct sluice_place *place);

/* Rows that the caller itself left out, so that they are seen beside the others. */
enum sluice_left_out {
    SLUICE_AMBIGUOUS, /* two sequences could claim them */
    SLUICE_REUSED,    /* found in a cache, not computed again */
    SLUICE_NO_TOKEN,  /* made of embeddings */
    SLUICE_STEERED,   /* of a sequence that was steered */
    SLUICE_EXCLUDED   /* of a sequence whose caller wants no capture */
};
void sluice_leave_out(struct sluice *stream, enum sluice_left_out why, uint64_t rows);

struct sluice_settings {
    size_t size; /* sizeof(struct sluice_settings) */
    int is_on;
    double share;           /* as in the options */
    double rows_per_second; /* as in the options */
};
/* From the next sequence, and the next row, on. SLUICE_ERR_USAGE: nothing was changed. */
int sluice_set(struct sluice *stream, const struct sluice_settings *settings);
void sluice_settings(const struct sluice *stream, struct sluice_settings *settings);

/* offered_rows = written_rows + shed_rows + limited_rows + abandoned_rows once no call is under way. */
struct sluice_counters {
    size_t size; /* sizeof(struct sluice_counters) */
    uint64_t offered_rows, written_rows, shed_rows, limited_rows, abandoned_rows;
    uint64_t ambiguous_rows, reused_rows, no_token_rows, steered_rows, excluded_rows;
    uint64_t sequences, sequences_not_taken;
    uint64_t read_rows;      /* of written_rows, those that the reader has taken */
    uint64_t reader_seen_ns; /* wall clock; 0: no reader yet */
    int is_refused;          /* the reader does not want these rows: */
    char reason[256];        /* why */
};
void sluice_counters(const struct sluice *stream, struct sluice_counters *counters);

/* Say that nothing more comes. Blocks on nothing. What lies in the ring stays until it is read, however
 * long that takes; an empty ring is removed. */
void sluice_close(struct sluice *stream);

#ifdef __cplusplus
}
#endif
#endif
