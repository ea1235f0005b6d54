/* Rows of a run's buffer, for `sluice inspect --from-buffer`. */
#ifndef SLUICE_CLI_INSPECT_BUFFER_H
#define SLUICE_CLI_INSPECT_BUFFER_H

#include "cli/lens.h"
#include "inspect/survey.h"

enum { INSPECT_WAIT_SECONDS = 60 }; /* for more rows, at most */

struct inspect_buffer { /* all owned */
    struct buffered *rows;
    struct survey_read read;
    struct llama_hooks hooks;
    struct llama_runner *runner; /* for the texts of tokens; NULL until they are asked for */
};

/* Open the buffer of the run that options->file names: a configuration, a run's folder, one below it
 * or a checkpoint in that. ERR_USAGE: there is none; errors of buffered_open(). The caller ends with
 * inspect_buffer_close(), which passes over one that is all 0. */
int inspect_buffer_open(const struct options *options, struct subject *subject,
                        struct inspect_buffer *buffer);
void inspect_buffer_close(struct inspect_buffer *buffer);

/* Whether its tokens have texts: its rows are of a model. */
int inspect_buffer_has_texts(const struct inspect_buffer *buffer);
/* Them, out of the lens's model where that is open, else of the model's own file. Errors of
 * subject_source() and llama_runner_open(). */
int inspect_buffer_texts(const struct options *options, const struct subject *subject,
                         const struct own_lens *lens, struct inspect_buffer *buffer,
                         struct texts *texts);

/* What came of reading, on stderr. */
void inspect_buffer_tell(const struct inspect_buffer *buffer);

#endif
