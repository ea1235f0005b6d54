/*
 * Where rows come from. Four engines behind one interface: `llama` (a GGUF model over a corpus),
 * `synthetic` (known directions), `files` (safetensors or .npy), `ring` (running programs).
 *
 * An engine makes rows in an order that is a pure function of its options and its share i/n; a
 * cursor names a row in that order, and engine_seek() takes it up again there.
 */
#ifndef SLUICE_ENGINE_ENGINE_H
#define SLUICE_ENGINE_ENGINE_H

#include "base/row.h"

#include <stddef.h>
#include <stdint.h>

enum { ENGINE_SETTINGS_BYTES = 512 };

/* For the manual pages of programs that open engines. */
#define ENGINE_PREPARED_MEANING                                                                    \
    "f32, bf16 or q8_0: what a model's weights are turned into, or a smaller type where that "     \
    "does not fit; by default f32 with AVX-512, else bf16. Rows differ, so a run goes on with "    \
    "its own"

enum engine_row_flags {
    ENGINE_ROW_SPECIAL = 1, /* the token is a special one (BOS, EOS, chat markers) */
    ENGINE_ROW_FIRST = 2,   /* position 0 of its context: an attention sink */
};

struct engine_hook {
    char name[64]; /* as the user wrote it: resid_post.15 */
    uint32_t width;
};

struct engine_info {
    const char *engine;           /* "llama", "synthetic", "files", "ring" */
    const char *model;            /* file name or description, for people */
    uint64_t model_hash;          /* fingerprint of the model as run (prepared or not) */
    const char *precision;        /* "f32", "bf16", "q4_1", ... of the model as run */
    const char *source_precision; /* of the model's own file; NULL: no model */
    uint32_t layers_kept;         /* of the model as run; 0: no model */
    double prepared_fve;          /* descriptor.h; 0: no model; NaN: rows that are all the same */
    uint64_t corpus_hash; /* fingerprint of the corpus and of every setting that shapes contexts */
    char settings[ENGINE_SETTINGS_BYTES]; /* what both hashes are of, as far as it is a setting:
                                             settings.h */
    uint32_t context_tokens;              /* rows of a context at most */
    int prepends_bos;
    uint32_t corpus_files;
    const char *corpus_note; /* how the list of files was read, for people: what was left out of
                                folders; NULL or "": nothing to tell */
    int resumable;           /* whether engine_seek works (a pipe cannot) */
    int is_live; /* rows come once, when they come: engine_next() may have none for now, and
                    engine_seek() makes none again */
    uint32_t hooks;
    struct engine_hook hook[ROW_MAX_HOOKS];
    uint32_t width; /* of all hooks together */
};

struct engine_batch {
    size_t rows;                  /* 0: the share has ended */
    const struct row_id *ids;     /* (rows) */
    const uint8_t *flags;         /* (rows) enum engine_row_flags */
    const struct cursor *cursors; /* (rows + 1): of each row, and of the row after the last */
    const float *values;          /* (rows, width) */
    const uint64_t *captured_ns;  /* (rows) wall clock; NULL: just now */
};

/* Why a document was skipped. */
enum engine_skip {
    ENGINE_SKIP_ENCODING, /* not UTF-8 */
    ENGINE_SKIP_SYNTAX,   /* not JSON, not CSV */
    ENGINE_SKIP_FIELD,    /* no such field, or no text in it */
    ENGINE_SKIP_LENGTH,   /* longer than may be */
    ENGINE_SKIP_REASONS,
};

/* Documents of the corpus up to where the engine is, all shares together. They are a pure function
 * of the position, so they are the same after a restart. All 0 in engines without a corpus. */
struct engine_documents {
    uint64_t read; /* skipped ones among them */
    uint64_t skipped[ENGINE_SKIP_REASONS];
    uint64_t replaced;       /* texts in which a lone surrogate became U+FFFD */
    char first_skipped[256]; /* "FILE, line 7: no string in the text field"; "" where none was */
};

struct engine_counters {
    uint64_t tokens;    /* that went through the model */
    uint64_t documents; /* begun */
    uint64_t bad_text;  /* documents skipped because they are not valid UTF-8 */
    uint64_t bad_text_bytes;
};

/* What programs that hand over rows have counted, in the order of enum ring_count (proto/ring.h), since
 * their rings were made; those that have ended while this engine was open too. */
enum { ENGINE_RING_COUNTS = 12 };
struct engine_rings {
    uint32_t rings, refused;
    uint64_t waiting_rows; /* in the rings */
    uint64_t lost_rows;    /* of those shed, what this engine is the first to tell of */
    uint64_t count[ENGINE_RING_COUNTS];
};

struct engine;
struct engine_options; /* options.h */

/* llama.cpp's threads are libgomp's. Unless told otherwise, idle ones spin and take the core of
 * whoever else computes, such as a trainer. libgomp reads its settings once, when it is loaded. So
 * call this first in main(). Where the environment has neither OMP_WAIT_POLICY nor GOMP_SPINCOUNT
 * it sets OMP_WAIT_POLICY=passive and executes the program again. Else, or if that fails, it
 * returns. */
void engine_threads_passive(char **argv);

/* Open an engine. Loads the model, checks the corpus and every hook. Blocks for seconds.
 * ERR_USAGE (a hook that does not exist: the text lists those that do), ERR_NOTFOUND, ERR_FORMAT,
 * ERR_IO, ERR_NOMEM. The caller closes it. */
int engine_open(const struct engine_options *options, struct engine **engine);
const struct engine_info *engine_info(const struct engine *engine);
struct engine_counters engine_counters(const struct engine *engine);
/* All 0 in engines without rings. */
void engine_rings(const struct engine *engine, struct engine_rings *rings);
/* The stream has counted lost_rows, as engine_rings() told them last: no later reader tells them. */
void engine_rings_counted(struct engine *engine);
void engine_documents(const struct engine *engine, struct engine_documents *documents);
/* The same of the whole corpus, once engine_count_rows() has read it. All 0 before. */
void engine_documents_counted(const struct engine *engine, struct engine_documents *documents);

/* What opening an engine would make first, as far as it can be told beforehand: the model that the
 * engine `llama` prepares, and the proof that it computes the same. All 0 where nothing is
 * prepared. */
struct engine_forecast {
    int32_t layers, layers_kept; /* of the model; kept unless the proof fails */
    char precision[16];          /* that its weights are turned into */
    int is_ready;                /* nothing is left to be made */
    uint64_t prepared_bytes;     /* of the prepared model on disk; 0: the file itself is used */
    uint64_t disk_bytes;         /* room that making and proving it takes at most */
    uint64_t memory_bytes;       /* anonymous memory of the proof, at most about */
    uint64_t mapped_bytes;       /* of files that it reads; the kernel may take these pages back */
};

/* What an engine cannot do without and was not given. */
struct engine_lack {
    const char *key;  /* of the configuration: "stream.model" */
    const char *what; /* for people: "is required by the llama engine: ..." */
};
/* Whether something lacks: 1, and `lack` has the first such thing. Looks at the options alone, in
 * which what is not given is NULL, or none. */
int engine_lacks(const struct engine_options *options, struct engine_lack *lack);

/* Looks at the model, makes nothing. Errors of engine_open(). Blocks while the model is tried. */
int engine_forecast(const struct engine_options *options, struct engine_forecast *forecast);

/* Rows that all shares together will make before any filter (tokens of the corpus in contexts),
 * counted by reading and tokenizing it; *rows = 0 where that cannot be known (a pipe).
 * Blocks; `progress` (may be NULL) is called now and then with tokens so far. */
int engine_count_rows(struct engine *engine, uint64_t *rows,
                      void (*progress)(void *arg, uint64_t tokens), void *arg);

/* Tokens of the model's vocabulary, 0 to so many less one; 0: tokens have no text (an engine without
 * a model, or a model without a tokenizer). */
int32_t engine_tokens(const struct engine *engine);
/* A token's text, as llama_runner_text() tells it; 0: it has none. */
size_t engine_token_text(const struct engine *engine, int32_t token, char *out, size_t bytes);

/* Go on from `cursor`. The row at cursor comes first in the next batch (its context is computed
 * again). ERR_STATE if the engine is not resumable, ERR_MISMATCH if the corpus ends before it. */
int engine_seek(struct engine *engine, const struct cursor *cursor);

/* Compute the next batch. Blocks while the model runs. What `batch` points to stays valid until the
 * next call on this engine. ERR_IO, ERR_FORMAT (bad text with on_bad_text: fail), ERR_MISMATCH (the
 * graph's tokens are not those submitted: never trained on). ERR_AGAIN: a live engine has no row for
 * now; it waited 0.2 s. */
int engine_next(struct engine *engine, struct engine_batch *batch);

/* No more rows are wanted, for good: a live engine tells the programs that hand them over, wipes
 * what they still had, and tells how many rows that was. */
void engine_finish(struct engine *engine);

void engine_close(struct engine *engine);

#endif
