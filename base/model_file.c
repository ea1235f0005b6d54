#include "base/model_file.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LEAST_PIECES = 1024, PIECE_BYTES = 4096, DISTANCE_BYTES = 1 << 20 };

/* *stem: bytes of the path before what tells the part. */
static int parts_of(const char *path, size_t *stem)
{
    int part, parts, used = 0;
    size_t length = strlen(path);
    static const char pattern[] = "-00001-of-00000.gguf";
    *stem = length;
    if (length < sizeof pattern) return 1;
    *stem = length - (sizeof pattern - 1);
    if (sscanf(path + *stem, "-%5d-of-%5d.gguf%n", &part, &parts, &used) != 2) return 1;
    return part == 1 && parts > 1 && path[*stem + (size_t)used] == '\0' ? parts : 1;
}

int model_file_parts(const char *path)
{
    size_t stem;
    return parts_of(path, &stem);
}

int model_file_part(const char *path, int part, char out[PATH_MAX])
{
    size_t stem;
    int parts = parts_of(path, &stem);
    int n = parts == 1 ? snprintf(out, PATH_MAX, "%s", path)
                       : snprintf(out, PATH_MAX, "%.*s-%05d-of-%05d.gguf", (int)stem, path,
                                  part + 1, parts);
    return n > 0 && n < PATH_MAX ? ERR_OK : err_set(ERR_IO, "path too long: %s", path);
}

/* One more piece: up to PIECE_BYTES at `offset`. */
static int add_piece(int fd, off_t offset, uint64_t *words, uint64_t *key)
{
    size_t used = 0;
    memset(words, 0, PIECE_BYTES);
    while (used < PIECE_BYTES) {
        ssize_t n = pread(fd, (char *)words + used, PIECE_BYTES - used, offset + (off_t)used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return ERR_IO;
        if (n == 0) break;
        used += (size_t)n;
    }
    for (size_t i = 0; i < PIECE_BYTES / sizeof *words; i++) *key = hash_u64(*key ^ words[i]);
    return ERR_OK;
}

static int add_pieces(int fd, const char *path, uint64_t *words, uint64_t *key)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return file_error("cannot look at", path);
    if (!S_ISREG(st.st_mode)) return err_set(ERR_USAGE, "%s is no file", path);
    uint64_t size = (uint64_t)st.st_size, pieces = (size + PIECE_BYTES - 1) / PIECE_BYTES;
    int is_large = pieces > LEAST_PIECES;
    if (is_large) pieces = LEAST_PIECES + size / DISTANCE_BYTES;
    *key = hash_u64(*key ^ size);
    for (uint64_t i = 0; i < pieces; i++) {
        uint64_t at = is_large ? (size - PIECE_BYTES) * i / (pieces - 1) : i * PIECE_BYTES;
        if (add_piece(fd, (off_t)at, words, key) != ERR_OK) return file_error("cannot read", path);
    }
    return ERR_OK;
}

static int add_file(const char *path, uint64_t *key)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return file_error("cannot open the model", path);
    uint64_t *words = malloc(PIECE_BYTES);
    int result =
        words ? add_pieces(fd, path, words, key) : err_set(ERR_NOMEM, "no memory to read %s", path);
    free(words);
    close(fd);
    return result;
}

int model_file_key(const char *path, uint64_t *key)
{
    char part[PATH_MAX];
    int parts = model_file_parts(path), result = ERR_OK;
    *key = 0;
    for (int i = 0; i < parts && result == ERR_OK; i++) {
        result = model_file_part(path, i, part);
        if (result == ERR_OK) result = add_file(part, key);
    }
    *key = result == ERR_OK ? *key | 1 : 0;
    return result;
}
