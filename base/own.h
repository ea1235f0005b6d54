/*
 * Folders of this user alone, and what lies in them. A folder that others may write could be filled
 * with links to files of anybody, so whoever writes into one looks at it first, and then opens
 * what lies in it without following links. Files that a person names himself are none of this:
 * file_read() and its kin (fileio.h) follow links.
 *
 * Errors name the path, its owner or its mode, and what to do.
 */
#ifndef SLUICE_BASE_OWN_H
#define SLUICE_BASE_OWN_H

#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

/* What `path` is by its owner and mode: ERR_OK, or ERR_USAGE where another user owns it, or others
 * may write it. `what`: "folder" or "file", for the text. */
int own_judge(const char *what, const char *path, const struct stat *st);

/* What is said of a symbolic link at a place where none is followed: ERR_USAGE. */
int own_refuse_link(const char *path);

/* Whether `path` is a folder of ours. A link to one is, where may_be_link. ERR_NOTFOUND: nothing is
 * there. ERR_USAGE: a link, no folder, of another user, or one that others may write. ERR_IO. */
int own_folder(const char *path, int may_be_link);

/* The same; where nothing is there it is made (0700). Its parent must be there: where a whole tree
 * was removed, nothing is made in its place. ERR_NOSPC, too. */
int own_make(const char *path, int may_be_link);

/* The folders above `path`, both as it is written and as links lead to it. ERR_USAGE: everybody may
 * write one that has no sticky bit, and so put another folder in the place of `path`.
 * warning[bytes]: what is said where a group may, or another user owns one; "": nothing. */
int own_parents(const char *path, char *warning, size_t bytes);

/* Open a regular file, 0600 where it is made, without following a link or waiting for a pipe.
 * `flags` as for open(2). ERR_NOTFOUND; ERR_USAGE: it is a link; ERR_NOSPC, ERR_IO. */
int own_open(const char *path, int flags, int *fd);

/* file_read() of such a file; and a stream to read it from, which the caller closes. */
int own_read(const char *path, size_t limit_bytes, char **data, size_t *size);
int own_stream(const char *path, FILE **stream);

#endif
