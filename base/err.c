#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char text[1024];

static const char *const names[] = {
    [ERR_OK] = "success",
    [ERR_USAGE] = "bad usage or configuration",
    [ERR_NOMEM] = "out of memory",
    [ERR_IO] = "input/output error",
    [ERR_NOSPC] = "no space left",
    [ERR_NOTFOUND] = "not found",
    [ERR_EXISTS] = "already exists",
    [ERR_FORMAT] = "malformed data",
    [ERR_CHECKSUM] = "checksum does not match",
    [ERR_VERSION] = "unknown version or type",
    [ERR_MISMATCH] = "belongs to something else",
    [ERR_LIMIT] = "beyond its limit",
    [ERR_FENCED] = "taken over by a newer epoch",
    [ERR_STATE] = "not allowed in this state",
    [ERR_AGAIN] = "not yet",
    [ERR_CORRUPT] = "cannot be trusted",
    [ERR_INTERNAL] = "internal invariant broken",
};

const char *err_str(int code)
{
    if (code < 0 || code >= (int)(sizeof names / sizeof names[0])) return "unknown error";
    return names[code];
}

int err_set(int code, const char *fmt, ...)
{
    char made[sizeof text]; /* apart: err_text() may be among what is put in */
    va_list args;
    va_start(args, fmt);
    vsnprintf(made, sizeof made, fmt, args);
    va_end(args);
    memcpy(text, made, strlen(made) + 1);
    return code;
}

const char *err_text(void)
{
    return text;
}

void err_first_take(struct err_first *first, int code)
{
    if (first->code || !code) return;
    first->code = code;
    snprintf(first->text, sizeof first->text, "%s", err_text());
}

int err_first_of(const struct err_first *first)
{
    return first->code ? err_set(first->code, "%s", first->text) : ERR_OK;
}

int err_exit_code(int code)
{
    if (code == ERR_OK) return 0;
    return code == ERR_USAGE || code == ERR_MISMATCH ? 2 : 1;
}

int err_is_final(int code)
{
    return code == ERR_USAGE || code == ERR_MISMATCH || code == ERR_FORMAT || code == ERR_VERSION ||
           code == ERR_LIMIT;
}

int err_of_file(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return ERR_NOTFOUND;
    case EACCES:
    case EPERM:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case ENXIO:
    case ENODEV:
        return ERR_USAGE;
    case ENOSPC:
    case EDQUOT:
        return ERR_NOSPC;
    case ENOMEM:
        return ERR_NOMEM;
    default:
        return ERR_IO;
    }
}
