/*
 * The folder of a stream's rings: which there are, and that one reader alone takes from them.
 */
#ifndef SLUICE_ENGINE_RING_FOLDER_H
#define SLUICE_ENGINE_RING_FOLDER_H

#include <stddef.h>

struct ring_folder {
    char path[768];
    int lock; /* -1: not held */
};

/* Open it, making it where it is not there, and hold it. `path` "": the usual one of the stream.
 * ERR_EXISTS: another reader has it. ERR_USAGE: not this user's alone. ERR_NOTFOUND, ERR_LIMIT,
 * ERR_IO. ring_folder_close() lets go of it. */
int ring_folder_open(const char *path, const char *stream, struct ring_folder *folder);
void ring_folder_close(struct ring_folder *folder);

/* Call `found` with the path of each ring. Files that a host died over before they were rings are
 * removed. ERR_IO, or what `found` returned. */
int ring_folder_each(const struct ring_folder *folder, int (*found)(void *arg, const char *path),
                     void *arg);

#endif
