/*
 * Stands in for the end of a checkpoint's writing (linked with --wrap), in a trainer for tests
 * alone: it is killed with its third checkpoint, just before that is there, or just after, as
 * SLUICE_TEST_DIES says ("before", "after").
 */
#include "sae/checkpoint.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

int __real_checkpoint_commit(struct checkpoint_writer *writer, unsigned keep);
int __wrap_checkpoint_commit(struct checkpoint_writer *writer, unsigned keep);

int __wrap_checkpoint_commit(struct checkpoint_writer *writer, unsigned keep)
{
    static int commits;
    const char *when = getenv("SLUICE_TEST_DIES");
    int is_last = ++commits == 3;
    if (is_last && strcmp(when, "before") == 0) raise(SIGKILL);
    int result = __real_checkpoint_commit(writer, keep);
    if (is_last) raise(SIGKILL);
    return result;
}
