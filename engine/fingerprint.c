#include "engine/fingerprint.h"

#include "base/err.h"
#include "base/fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { BLOCK_BYTES = 1 << 20, SAMPLED_BLOCKS = 64 };

uint64_t fingerprint_add_u64(uint64_t hash, uint64_t value)
{
    return XXH3_64bits_withSeed(&value, sizeof value, hash);
}

uint64_t fingerprint_add(uint64_t hash, const void *data, size_t bytes)
{
    return XXH3_64bits_withSeed(data, bytes, hash);
}

uint64_t fingerprint_add_text(uint64_t hash, const char *text)
{
    return XXH3_64bits_withSeed(text, strlen(text) + 1, hash);
}

/* Read a whole block at `offset`, shorter only at the end of the file. */
static ssize_t read_block(int fd, char *block, off_t offset)
{
    size_t used = 0;
    while (used < BLOCK_BYTES) {
        ssize_t n = pread(fd, block + used, BLOCK_BYTES - used, offset + (off_t)used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) break;
        used += (size_t)n;
    }
    return (ssize_t)used;
}

static int hash_blocks(int fd, const char *path, uint64_t size, enum fingerprint_depth depth,
                       const struct fingerprint_watch *watch, uint64_t *hash)
{
    char *block = malloc(BLOCK_BYTES);
    XXH3_state_t *state = XXH3_createState();
    int result = ERR_OK;
    if (!block || !state) {
        result = err_set(ERR_NOMEM, "no memory to read %s", path);
        goto out;
    }
    XXH3_64bits_reset_withSeed(state, size);
    int sampled = depth == FINGERPRINT_SAMPLED && size > FINGERPRINT_WHOLE_BYTES;
    uint64_t blocks = sampled ? SAMPLED_BLOCKS : (size + BLOCK_BYTES - 1) / BLOCK_BYTES;
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t offset = i * BLOCK_BYTES;
        if (sampled) offset = (size - BLOCK_BYTES) / (SAMPLED_BLOCKS - 1) * i;
        if (sampled && i == blocks - 1) offset = size - BLOCK_BYTES;
        ssize_t n = read_block(fd, block, (off_t)offset);
        if (n < 0) {
            result = err_set(ERR_IO, "cannot read %s: %s", path, strerror(errno));
            goto out;
        }
        XXH3_64bits_update(state, block, (size_t)n);
        if (watch) watch->read(watch->arg, offset + (uint64_t)n, size);
    }
    *hash = XXH3_64bits_digest(state);
out:
    XXH3_freeState(state);
    free(block);
    return result;
}

/* Where the fingerprint of this very version of the file is remembered. */
static int cache_path(char *path, size_t size, const char *cache_dir, const struct stat *st,
                      enum fingerprint_depth depth)
{
    uint64_t key = fingerprint_add_u64((uint64_t)depth, (uint64_t)st->st_dev);
    key = fingerprint_add_u64(key, (uint64_t)st->st_ino);
    key = fingerprint_add_u64(key, (uint64_t)st->st_size);
    key = fingerprint_add_u64(key, (uint64_t)st->st_mtim.tv_sec);
    key = fingerprint_add_u64(key, (uint64_t)st->st_mtim.tv_nsec);
    int n = snprintf(path, size, "%s/fingerprints/%016" PRIx64, cache_dir, key);
    return n > 0 && (size_t)n < size;
}

static int remembered(const char *path, uint64_t *hash)
{
    char *text;
    size_t size;
    if (file_read(path, 64, &text, &size) != ERR_OK) return 0;
    int found = sscanf(text, "%16" SCNx64, hash) == 1;
    free(text);
    return found;
}

static void remember(const char *cache_dir, const char *path, uint64_t hash)
{
    char folder[PATH_MAX], text[32];
    snprintf(folder, sizeof folder, "%s/fingerprints", cache_dir);
    int length = snprintf(text, sizeof text, "%016" PRIx64 "\n", hash);
    if (dir_make(folder, 0700) == ERR_OK) (void)file_replace(path, text, (size_t)length);
}

int fingerprint_is_kept(const char *path, enum fingerprint_depth depth, const char *cache_dir)
{
    struct stat st;
    char cached[PATH_MAX];
    uint64_t hash;
    return cache_dir && stat(path, &st) == 0 &&
           cache_path(cached, sizeof cached, cache_dir, &st, depth) && remembered(cached, &hash);
}

int fingerprint_file(const char *path, enum fingerprint_depth depth, const char *cache_dir,
                     uint64_t *hash)
{
    return fingerprint_file_watched(path, depth, cache_dir, NULL, hash);
}

int fingerprint_file_watched(const char *path, enum fingerprint_depth depth, const char *cache_dir,
                             const struct fingerprint_watch *watch, uint64_t *hash)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused, not waited for */
    if (fd < 0) return err_set(err_of_file(errno), "cannot open %s: %s", path, strerror(errno));
    struct stat st;
    char cached[PATH_MAX];
    int result;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        result = err_set(ERR_IO, "%s is not a regular file", path);
        goto out;
    }
    int cacheable = cache_dir && cache_path(cached, sizeof cached, cache_dir, &st, depth);
    result = ERR_OK;
    if (cacheable && remembered(cached, hash)) goto out;
    result = hash_blocks(fd, path, (uint64_t)st.st_size, depth, watch, hash);
    if (result == ERR_OK && cacheable) remember(cache_dir, cached, *hash);
out:
    close(fd);
    return result;
}
