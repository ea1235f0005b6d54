/* What an engine can be told. Plain data; strings are borrowed and outlive the engine. */
#ifndef SLUICE_ENGINE_OPTIONS_H
#define SLUICE_ENGINE_OPTIONS_H

#include <stdint.h>

enum engine_kind { ENGINE_LLAMA, ENGINE_SYNTHETIC, ENGINE_FILES, ENGINE_RING };
enum file_axes { FILE_AXES_AUTO, FILE_AXES_SEQUENCES, FILE_AXES_LAYERS };
enum bad_text { BAD_TEXT_SKIP, BAD_TEXT_FAIL };

struct synthetic_options {
    uint32_t features;    /* true directions */
    uint32_t width;       /* D */
    double l0;            /* expected active features per row */
    double zipf_exponent; /* of the features' firing rates */
    double noise;         /* standard deviation of the noise added to each dimension */
    uint32_t groups;      /* correlated groups: features of a group fire together more often */
    uint64_t seed;
    uint64_t rows;          /* of all shares together */
    uint32_t sequence_rows; /* rows of a sequence */
    const char *truth_file; /* safetensors with the directions (NULL: none is written) */
};

/* What is told while an engine opens, on the thread that opens it. */
struct engine_watch {
    /* A prepared model of about `bytes` is being made, as `file`, which grows. May be NULL. */
    void (*preparing)(void *arg, const char *file, uint64_t bytes);
    /* What is under way, or was decided for the user, in a sentence. May be NULL. */
    void (*tell)(void *arg, int is_warning, const char *sentence);
    /* A model's file, which may be large, is read as a whole, once: it is known by its fingerprint.
     * So many bytes of it were read. NULL: all were. May be NULL. */
    void (*reading)(void *arg, const char *file, uint64_t bytes, uint64_t of_bytes);
    /* A form of the model that is faster to run is held against the model itself, which may take
     * minutes: from now on (1), or not any more (0). `tell` says how far it is. May be NULL. */
    void (*checking)(void *arg, int is_checked);
    void *arg;
    /* Whether whoever opens it has given up: asked while it waits. May be NULL. */
    int (*is_over)(void *arg);
};

struct engine_forecast;

struct engine_options {
    enum engine_kind kind;
    /* Not NULL: this is a look. What opening would make first is told here and not made; rows are
     * those of the model's file as it is. All 0 where nothing would be made. */
    struct engine_forecast *forecast;
    const char *const *hooks;
    uint32_t hooks_count;
    uint32_t share_index, share_count; /* this producer's i of n */

    /* llama */
    const char *model_file;
    const char *cache_dir;      /* where prepared models are kept */
    uint64_t cache_limit_bytes; /* cap of that folder */
    int exact_model;            /* use the file as it is */
    struct engine_watch watch;
    const char *const *corpus; /* files, patterns, "-" for stdin */
    uint32_t corpus_count;
    const char *text_field;         /* the field that holds the text; data.text: of an object */
    const char *tokens_field;       /* the field that holds token ids instead; NULL: none */
    const char *document_separator; /* line between documents of plain text; NULL: none */
    enum bad_text on_bad_text;
    uint32_t context_tokens;
    int one_document;        /* a context holds no second document */
    uint32_t batch_contexts; /* contexts in one engine_batch; changes no value */
    uint32_t threads;
    int prepend_bos; /* -1: as the model's metadata says */

    struct synthetic_options synthetic;

    /* files: .npy, .npz, safetensors and indices of its shards, of f64, f32, f16 or bf16: (rows,
     * width), (sequences, rows, width) or (rows, layers, width) */
    const char *const *files;
    uint32_t files_count;
    const char *tensor;                           /* name inside safetensors; NULL: the only one */
    const char *tokens_tensor, *sequences_tensor; /* beside the rows; NULL: none */
    enum file_axes file_axes;                     /* of an array of three dimensions */
    int file_is_bf16;                             /* V2 in a .npy */
    uint32_t file_sequence_rows;

    /* ring */
    const char *stream;        /* its name */
    const char *rings;         /* folder; NULL: the stream's usual one */
    double share;              /* of sequences; 0 or 1: all */
    double rows_per_second;    /* of each program; 0: no limit */
    uint64_t bytes_per_second; /* the same in bytes of rows; the lower holds */
};

#endif
