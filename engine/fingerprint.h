/*
 * Fingerprints of files: XXH3-64 of what is in them.
 */
#ifndef SLUICE_ENGINE_FINGERPRINT_H
#define SLUICE_ENGINE_FINGERPRINT_H

#include <stddef.h>
#include <stdint.h>

/* Files above this size are sampled by fingerprint_file(..., FINGERPRINT_SAMPLED, ...): their size
 * and 64 blocks of 1 MiB at even distances, the first and the last among them. */
#define FINGERPRINT_WHOLE_BYTES (64ull << 20)

enum fingerprint_depth { FINGERPRINT_WHOLE, FINGERPRINT_SAMPLED };

/* Fingerprint of a regular file. With a cache_dir (NULL: none) the answer is kept there under the
 * file's device, inode, size and modification time, so that a large model is read once; a cache
 * that can't be written is no error. ERR_NOTFOUND, ERR_IO, ERR_NOMEM. Blocks on the disk. */
int fingerprint_file(const char *path, enum fingerprint_depth depth, const char *cache_dir,
                     uint64_t *hash);

/* Who wants to know how far it is: after each piece that was read. */
struct fingerprint_watch {
    void (*read)(void *arg, uint64_t bytes, uint64_t of_bytes);
    void *arg;
};

/* The same, watched (NULL: by nobody); nobody is told where the cache has the answer. */
int fingerprint_file_watched(const char *path, enum fingerprint_depth depth, const char *cache_dir,
                             const struct fingerprint_watch *watch, uint64_t *hash);

/* Whether cache_dir has the answer, so that nothing would be read. */
int fingerprint_is_kept(const char *path, enum fingerprint_depth depth, const char *cache_dir);

/* Fold bytes, text and numbers into a fingerprint, in order. */
uint64_t fingerprint_add(uint64_t hash, const void *data, size_t bytes);
uint64_t fingerprint_add_text(uint64_t hash, const char *text);
uint64_t fingerprint_add_u64(uint64_t hash, uint64_t value);

#endif
