/*
 * One error space for the whole project.
 *
 * Functions that can fail return `int`: ERR_OK (0) or one of the codes below. Where the failure has
 * something to tell a person, the function also leaves a sentence in a thread-local text through
 * err_set(): what went wrong, where, and what to do next. The text belongs to the last failure of
 * the calling thread; read it before calling anything else.
 */
#ifndef SLUICE_BASE_ERR_H
#define SLUICE_BASE_ERR_H

enum err {
    ERR_OK = 0,
    ERR_USAGE,    /* bad option, key or value: exit code 2 */
    ERR_NOMEM,    /* an allocation failed, or a byte cap was reached */
    ERR_IO,       /* a file could not be read or written */
    ERR_NOSPC,    /* the disk, or the buffer, is full */
    ERR_NOTFOUND, /* no such file, key, hook, slab, ... */
    ERR_EXISTS,   /* already there, already running, already bound */
    ERR_FORMAT,   /* bytes that are not what they should be */
    ERR_CHECKSUM, /* bytes that were changed on the way or on disk */
    ERR_VERSION,  /* a version, dtype, codec or flag that this build does not know */
    ERR_MISMATCH, /* belongs to another stream, model, corpus, share, width, ... */
    ERR_LIMIT,    /* a length or count beyond its bound */
    ERR_FENCED,   /* a newer epoch of the same producer has taken over */
    ERR_STATE,    /* not allowed now */
    ERR_AGAIN,    /* nothing to do yet; ask again */
    ERR_CORRUPT,  /* a buffer or checkpoint that cannot be trusted */
    ERR_INTERNAL, /* an invariant of ours does not hold */
};

/* A short constant phrase for a code. Never NULL, not to be freed. Never blocks. */
const char *err_str(int code);

/* Record a sentence for the calling thread (printf-style, at most 1023 bytes are kept) and return
 * `code`, so that `return err_set(ERR_IO, "...", ...)` is the usual form. err_text() may be put into
 * the new text. */
int err_set(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The calling thread's last sentence, "" if there was none. Valid until its next err_set(). */
const char *err_text(void);

/* The first failure of several tries that do not depend on each other, with its sentence. Zeroed: none. */
struct err_first {
    int code;
    char text[1024];
};
/* The result of one more try. */
void err_first_take(struct err_first *first, int code);
/* ERR_OK, or the first failure, whose sentence is err_text() again. */
int err_first_of(const struct err_first *first);

/* Process exit code for an error code: 0 for ERR_OK; 2 for what a person has to set right and no
 * second try mends (ERR_USAGE, ERR_MISMATCH); otherwise 1. */
int err_exit_code(int code);

/* Whether a second try is of no use, as what was read is wrong and will be: USAGE, MISMATCH,
 * FORMAT, VERSION, LIMIT. The others can pass: a full disk, memory, an address in use. */
int err_is_final(int code);

/* The code for a file that could not be opened or read, by errno: NOTFOUND where it isn't there;
 * USAGE where a person has to change it or its place (no permission, a folder, a loop of links, a
 * name too long); NOSPC, NOMEM; else IO. */
int err_of_file(int error);

#endif
