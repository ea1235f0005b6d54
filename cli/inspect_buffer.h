/* Rows of a run's buffer, for `sluice inspect --from-buffer`. */
#ifndef SLUICE_CLI_INSPECT_BUFFER_H
#define SLUICE_CLI_INSPECT_BUFFER_H

#include "cli/lens.h"
#include "config/config.h"
#include "inspect/survey.h"

enum { INSPECT_WAIT_SECONDS = 60 }; /* for more rows, at most */

struct inspect_buffer { /* all owned */
    char run_dir[CONFIG_PATH_BYTES];
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

/* Where the stream's rows go by age (sink.retention): the index must lie in RUN/index, where the sink
 * finds it, and is marked with the age of its rows (inspect/index_age.h) before the first is read. The
 * rows of the older half are left out, so that it lives for half of the retention at the least.
 * *captured_from_ns is for the survey; 0 where no row goes by age. ERR_USAGE: it lies elsewhere, or
 * holds something else. */
int inspect_buffer_mark(const struct inspect_buffer *buffer, const char *folder,
                        uint64_t *captured_from_ns);

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
