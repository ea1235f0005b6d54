/* What the parts of `sluice steer` share. For cli/steer*.c. */
#ifndef SLUICE_CLI_STEER_H
#define SLUICE_CLI_STEER_H

#include "cli/pace.h"
#include "inspect/dose.h"
#include "inspect/firing.h"
#include "inspect/labels.h"
#include "inspect/strengths.h"
#include "runtime/options.h"

enum { STEER_MOST_TOKENS = 4096 };

struct steer {
    const struct options *options;
    struct subject subject[STEERING_MOST];
    struct labels labels[STEERING_MOST];
    uint32_t subjects;
    struct steering steering;
    struct strengths strengths; /* of a sweep; none: count 0 */
    struct llama_hooks hooks;   /* one for each SAE */
    struct llama_player *player;
    int is_every;    /* position 0 and special tokens are steered, too */
    uint8_t *spared; /* (STEER_MOST_TOKENS): positions that keep their rows */
    int32_t *prompt;
    struct generation_options how;
    struct steer_clock {    /* of the progress line */
        uint64_t done, all; /* tokens generated; at most */
        struct pace pace;
    } clock;
};

/* Open the SAEs, and read which features and how strong. Errors of the libraries. */
int steer_read(struct steer *steer);
/* The same, and open the model. */
int steer_open(struct steer *steer);
void steer_close(struct steer *steer);

/* Begin to tell how many of so many tokens are generated, and end it: a line on stderr each second. */
void steer_progress_begin(struct steer *steer, uint64_t tokens);
void steer_progress_end(struct steer *steer);

/* Position 0 and special tokens among `tokens`, into spared[count]. */
void steer_spare(const struct steer *steer, const int32_t *tokens, uint32_t count, uint8_t *spared);

/* The ways; results on stdout. */
int steer_texts(struct steer *steer);
int steer_sweep(struct steer *steer);

/* What was measured, `count` strengths of the features and of the control, as a picture into FILE. */
int steer_draw(const struct steer *steer, const struct dose *features, const struct dose *control,
               uint32_t count, const char *file);

/* ERR_USAGE: the file that an option is to write is there already. */
int steer_check_free(const char *option, const char *file);
/* Write it. ERR_USAGE as above; ERR_NOSPC, ERR_IO. */
int steer_write(const char *option, const char *file, const char *data, size_t bytes);

/* Whether the features can be a control vector (--export): before anything runs. And write it. */
int steer_check_export(const struct steer *steer);
int steer_export(const struct steer *steer, const char *file);

#endif
