/*
 * One file describes a pipeline; each process reads its own section of it.
 *
 * table.c lists every option once (key, type, default, unit, range, meaning, place in struct
 * config). Reading, --set, --print-config, the man pages and the documentation all follow that
 * table. yaml.c and merge.c alone know YAML. Strings here are never NULL: "" means
 * not given. A struct config does not change after config_load() and may be read from any thread.
 */
#ifndef SLUICE_CONFIG_CONFIG_H
#define SLUICE_CONFIG_CONFIG_H

#include "base/row.h"
#include "proto/descriptor.h"
#include "proto/frame.h"
#include "sae/options.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_policy { CONFIG_BLOCK, CONFIG_SHED };
enum config_engine { CONFIG_LLAMA, CONFIG_SYNTHETIC, CONFIG_FILES, CONFIG_RING };
enum config_bad_text { CONFIG_SKIP, CONFIG_FAIL };
enum config_durability { CONFIG_PROCESS, CONFIG_POWER };
enum config_axes { CONFIG_AXES_AUTO, CONFIG_AXES_SEQUENCES, CONFIG_AXES_LAYERS };
enum config_file_dtype { CONFIG_FILE_DTYPE_AUTO, CONFIG_FILE_DTYPE_BF16 };
enum config_curves {
    CONFIG_CURVES_ALL,
    CONFIG_CURVES_JSONL,
    CONFIG_CURVES_TENSORBOARD,
    CONFIG_CURVES_OFF
};
enum config_socket { CONFIG_FRONT, CONFIG_BACK }; /* producers' and sinks' side of the broker */

enum { CONFIG_PATH_BYTES = 4096, CONFIG_MAX_PRODUCERS = 256, CONFIG_MAX_SAES = 64 };

struct config_list {
    char **item;
    uint32_t count;
};

struct config_stream {
    char *name; /* required; message_name_ok() */
    char *model;
    char *model_name, *dataset; /* as exports name them; "": from the model's file, none */
    struct config_list hooks;
    int dtype; /* enum dtype */
    int codec; /* enum codec */
    char *run_dir;
    int policy;      /* enum config_policy */
    int keep_tokens; /* 0: token ids are left out of what leaves a producer */
};

struct config_synthetic {
    uint32_t features, width;
    double l0, zipf_exponent, noise;
    uint32_t groups;
    uint64_t seed, rows;
    uint32_t sequence_rows;
    char *truth_file;
};

struct config_capture {
    int engine; /* enum config_engine */
    struct config_list corpus;
    char *text_field, *tokens_field;
    char *document_separator; /* "": a plain text is one document */
    int on_bad_text;          /* enum config_bad_text */
    double max_bad_documents; /* share */
    uint32_t context_tokens, batch_contexts;
    int pack;         /* 0: one document a context */
    uint32_t threads; /* 0: config_threads() */
    int prepend_bos;  /* -1: as the model's metadata says */
    int exact_model;
    uint64_t rows; /* 0: all; counted after the filters, over all producers */
    uint32_t producers;
    int keep_special, keep_sinks;
    double max_norm_ratio; /* 0: off */
    double max_rejected_share, max_filtered_share;
    int resumable;
    uint32_t measure_contexts;
    uint64_t cache_bytes, retained_bytes;
    struct config_synthetic synthetic;
    struct config_list files;
    char *tensor, *tokens_tensor, *sequences_tensor;
    int file_axes;  /* enum config_axes */
    int file_dtype; /* enum config_file_dtype */
    uint32_t file_sequence_rows;
    char *rings;               /* folder; "": the stream's usual one */
    double share;              /* of sequences */
    double rows_per_second;    /* 0: no limit */
    uint64_t bytes_per_second; /* 0: no limit */
    uint64_t ring_bytes;
    char *exclude_text; /* "": none */
    char *http;
};

struct config_broker {
    char *front, *back; /* "": in the run folder; read through config_endpoint() */
    char *keys;         /* "": none */
    int insecure_tcp;
    char *http;
};

struct config_sink {
    uint64_t size_bytes;
    uint64_t slab_bytes; /* 0: chosen from size and row */
    int durability;      /* enum config_durability */
    double checkpoint_share;
    uint32_t window_slabs;
    uint64_t retention_seconds; /* age at which rows go; 0: no limit; under CONFIG_SHED alone */
    char *http;
};

struct config_sae {
    char *name;  /* unique; made from arch, features, k and what lists vary where not given */
    char *hooks; /* of the stream's, divided by commas; "": all; config_sae_hooks() */
    /* After loading, rates and coefficients are never the "auto" of the table (0, -1) but the
     * architecture's own. What follows from the stream is not known here: wiring/plan.h. */
    struct sae_options options;
    uint64_t dead_window_steps; /* this or options.dead_window_rows is given, or neither; 0: not */
};

struct config_trainer {
    struct config_list consumers;
    uint32_t reuse, batch_rows;
    uint32_t threads; /* 0: config_threads() */
    uint64_t seed, planned_rows, min_rows, active_bytes, eval_rows;
    double eval_seconds;
    int curves; /* enum config_curves */
    double curves_seconds;
    uint64_t stop_rows;
    uint64_t finish_rows;
    double checkpoint_seconds;
    uint32_t keep_checkpoints;
    int whiten;
    char *http;
    struct config_sae *saes;
    uint32_t saes_count;
};

struct config_up {
    int restart;
    int progress; /* -1: where stderr is a terminal */
};

struct config {
    char *file;                     /* as given, "" where there is none */
    char *run_dir;                  /* absolute; not created */
    struct config_origins *origins; /* where values came from; for messages */
    struct config_stream stream;
    struct config_capture capture;
    struct config_broker broker;
    struct config_sink sink;
    struct config_trainer trainer;
    struct config_up up;
};

/* Read a file, apply `sets` ("section.key=value", in order, over the file), check everything that
 * can be checked without the model. ERR_USAGE: the text has FILE:LINE, the key, what is allowed.
 * ERR_NOTFOUND, ERR_IO, ERR_LIMIT (over 1 MiB), ERR_NOMEM. The caller frees with config_free().
 * Blocks on the disk. */
int config_load(const char *path, const char *const *sets, size_t sets_count,
                struct config **config);
/* The same out of memory; `file` is the name that errors show. */
int config_parse(const char *text, size_t bytes, const char *file, const char *const *sets,
                 size_t sets_count, struct config **config);
void config_free(struct config *config);

/* What one process (or --check, for each of the four) cannot do without: "trainer" an autoencoder.
 * What a capture's engine needs, the engine says: wiring/source.h. ERR_USAGE. */
int config_check_section(const struct config *config, const char *section);
/* A section's "http": "off", or an address; "off" where the section has none. */
const char *config_http(const struct config *config, const char *section);
/* ERR_USAGE, with "FILE:LINE: SECTION.KEY: WHY" as its text: for those who find a value wrong that
 * this room cannot judge. */
int config_fail(const struct config *config, const char *section, const char *key, const char *why);
/* Checks that need the row width: min_rows and the batch against what the buffer can hold.
 * capacity_rows = 0: estimated from sink.size. ERR_USAGE. */
int config_check_rows(const struct config *config, uint32_t width, uint64_t capacity_rows);

/* Which of a stream's hooks, called `names`, an autoencoder is to see, in its order: its own key, or
 * all. ERR_USAGE: one is unknown, missing or there twice. */
struct config_hooks {
    uint32_t count, place[ROW_MAX_HOOKS]; /* among the stream's */
};
int config_sae_hooks(const struct config_sae *sae, const char *const *names, uint32_t count,
                     struct config_hooks *hooks);

/* Every option as YAML with default, unit and meaning; `config` = NULL: the defaults. With a config
 * the output can be loaded back and gives the same one. ERR_IO. */
int config_print(const struct config *config, FILE *out);
/* The table of options for people: a Markdown table, or man(7) macros. ERR_IO. */
int config_write_markdown(FILE *out);
int config_write_man(FILE *out);

/* Items of trainer.saes as the user wrote them; one that has lists stands for several
 * autoencoders. Which item, from 0, an autoencoder comes from. */
uint32_t config_items(const struct config *config);
uint32_t config_item_of(const struct config *config, uint32_t sae);
/* Whether a key of trainer.saes means something to the autoencoder's architecture. */
int config_sae_uses(const struct config_sae *sae, const char *key);

/* Is it declared in trainer.consumers? */
int config_has_consumer(const struct config *config, const char *name);

/* Processors that this process may use; at least 1. */
uint32_t config_threads(uint32_t wanted);

/* Where things live. Each writes a NUL-terminated path into out[CONFIG_PATH_BYTES] and creates
 * nothing. ERR_LIMIT: the path is too long. */
int config_cache_dir(char *out); /* $XDG_CACHE_HOME/sluice */
/* $XDG_STATE_HOME/sluice, where runs lie that have no stream.run_dir */
int config_state_dir(char *out);
int config_buffer_dir(const struct config *config, char *out);  /* RUN/buffer */
int config_capture_dir(const struct config *config, char *out); /* RUN/capture */
int config_consumer_dir(const struct config *config, const char *consumer,
                        char *out);                           /* RUN/NAME */
int config_lock_file(const struct config *config, char *out); /* RUN/lock */
int config_log_file(const struct config *config, const char *process,
                    char *out); /* RUN/log/P.log */
int config_http_file(const struct config *config, const char *process, char *out); /* RUN/http/P */

/* ZeroMQ endpoint of the broker's side `socket`: as configured, else ipc://RUN/ipc/front (or back);
 * where that path has over 100 bytes, in $XDG_RUNTIME_DIR/sluice-HASH or /tmp/sluice-UID-HASH. */
int config_endpoint(const struct config *config, enum config_socket socket, char *out);

/* Where true directions go: capture.synthetic.truth_file, a relative one in the run's folder; ""
 * where there is none. */
int config_truth_file(const struct config *config, char *out);

/* The model's file: stream.model where it is a path, else CACHE/models/NAME.gguf. ERR_USAGE. */
int config_model_path(const struct config *config, char *out);
/* The same of a name that was given elsewhere; `key` is what the error calls it. */
int config_model_named(const char *model, const char *key, char *out);
/* The corpus as files, folders and patterns: a name that `make model` put into the cache becomes
 * CACHE/corpus/NAME* , "~" is expanded, "-", folders and patterns stay. ERR_USAGE names what is
 * missing.
 * The caller frees with config_list_free(). */
int config_corpus(const struct config *config, struct config_list *files);
void config_list_free(struct config_list *list);
/* Whether the corpus is standard input, which nobody may touch before time. */
int config_reads_stdin(const struct config *config);

#endif
