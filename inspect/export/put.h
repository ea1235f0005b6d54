/* Files of a folder that is being made: it appears whole when all are there, so none is synced by
 * itself. */
#ifndef SLUICE_INSPECT_EXPORT_PUT_H
#define SLUICE_INSPECT_EXPORT_PUT_H

#include <jansson.h>
#include <stddef.h>

enum { PUT_PATH_BYTES = 4096 };

/* FOLDER/NAME, which is not there yet, mode 0600. ERR_NOSPC, ERR_IO; ERR_USAGE: the path is too
 * long. */
int put_bytes(const char *folder, const char *name, const void *data, size_t bytes);
/* The same of an object, which it takes (NULL: there was no memory for it). ERR_NOMEM, too. */
int put_json(const char *folder, const char *name, json_t *object);
/* FOLDER/NAME as a folder, whose path is written: path[PUT_PATH_BYTES]. */
int put_folder(const char *folder, const char *name, char *path);

#endif
