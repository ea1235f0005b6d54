#include "sae/checkpoint.h"

#include "base/err.h"
#include "base/leftover.h"
#include "base/newfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { VERSION = 1, ALIGN = 64 };

static const char magic[8] = {'S', 'L', 'U', 'I', 'C', 'E', 'C', 'K'};
static const char zeros[ALIGN];

struct file_header {
    char magic[8];
    uint32_t version, reserved;
    uint64_t step;
    uint64_t zero[4];
    uint64_t hash;
};

struct section_header {
    char name[CHECKPOINT_NAME_BYTES];
    uint64_t bytes, data_hash;
    uint64_t hash;
};

_Static_assert(sizeof(struct file_header) == ALIGN, "as documented");
_Static_assert(sizeof(struct section_header) == ALIGN, "as documented");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structs are written as they lie");

struct checkpoint_writer {
    struct newfile *file;
    char dir[PATH_MAX];
    uint64_t step;
    size_t sections;
    int failed;
    uint64_t hash[CHECKPOINT_MAX_SECTIONS];
    char name[CHECKPOINT_MAX_SECTIONS][CHECKPOINT_NAME_BYTES];
};

struct section {
    const char *name; /* in the file, NUL-terminated */
    const void *data;
    size_t bytes;
};

struct checkpoint {
    char path[PATH_MAX];
    void *map; /* NULL: bytes of the caller's */
    size_t map_bytes;
    uint64_t step;
    size_t sections;
    struct section section[CHECKPOINT_MAX_SECTIONS];
};

static uint64_t header_hash(const void *header)
{
    return XXH3_64bits(header, ALIGN - 8);
}

static int file_path(char *path, size_t bytes, const char *dir, uint64_t step)
{
    int n = snprintf(path, bytes, "%s/checkpoint-%016llu.sluice", dir, (unsigned long long)step);
    if (n < 0 || (size_t)n >= bytes) return err_set(ERR_IO, "path too long: %s", dir);
    return ERR_OK;
}

/* Step of a checkpoint's file name; -1 if it is something else. */
static int64_t step_of(const char *name)
{
    unsigned long long step;
    int end = 0;
    if (sscanf(name, "checkpoint-%16llu.sluice%n", &step, &end) != 1) return -1;
    if (end != (int)strlen("checkpoint-0000000000000000.sluice") || name[end]) return -1;
    return step <= INT64_MAX ? (int64_t)step : -1;
}

static int is_leftover(const char *name)
{
    char whole[NAME_MAX + 1];
    size_t length = leftover_name(name);
    snprintf(whole, sizeof whole, "%.*s", (int)length, name);
    return length && step_of(whole) >= 0;
}

/* Temporary files of writers that died in the middle: a checkpoint's room is a checkpoint. */
static void remove_leftovers(const char *dir)
{
    DIR *folder = opendir(dir);
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));)
        if (is_leftover(entry->d_name)) leftover_remove(dirfd(folder), entry->d_name);
    closedir(folder);
}

int checkpoint_begin(const char *dir, uint64_t step, struct checkpoint_writer **out)
{
    char path[PATH_MAX];
    int result = file_path(path, sizeof path, dir, step);
    if (result != ERR_OK) return result;
    struct checkpoint_writer *writer = calloc(1, sizeof *writer);
    if (!writer) return err_set(ERR_NOMEM, "no memory to write a checkpoint");
    remove_leftovers(dir);
    result = newfile_begin(path, &writer->file);
    if (result != ERR_OK) {
        free(writer);
        return result;
    }
    snprintf(writer->dir, sizeof writer->dir, "%s", dir);
    writer->step = step;
    struct file_header header = {.version = VERSION, .step = step};
    memcpy(header.magic, magic, sizeof magic);
    header.hash = header_hash(&header);
    newfile_write(writer->file, &header, sizeof header);
    *out = writer;
    return ERR_OK;
}

static int check_name(const struct checkpoint_writer *writer, const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length >= CHECKPOINT_NAME_BYTES ||
        writer->sections >= CHECKPOINT_MAX_SECTIONS)
        return err_set(ERR_LIMIT, "checkpoint section '%.60s': a bad name, or one too many", name);
    for (size_t i = 0; i < writer->sections; i++)
        if (strcmp(writer->name[i], name) == 0)
            return err_set(ERR_EXISTS, "checkpoint section '%s' is there already", name);
    return ERR_OK;
}

int checkpoint_put(struct checkpoint_writer *writer, const char *name, const void *data,
                   size_t bytes)
{
    if (writer->failed) return writer->failed;
    writer->failed = check_name(writer, name);
    if (writer->failed) return writer->failed;
    struct section_header header = {.bytes = bytes};
    snprintf(header.name, sizeof header.name, "%s", name);
    header.data_hash = XXH3_64bits(bytes ? data : zeros, bytes);
    header.hash = header_hash(&header);
    memcpy(writer->name[writer->sections], header.name, sizeof header.name);
    writer->hash[writer->sections++] = header.hash;
    newfile_write(writer->file, &header, sizeof header);
    newfile_write(writer->file, data, bytes);
    writer->failed = newfile_write(writer->file, zeros, -bytes % ALIGN);
    return writer->failed;
}

static int falling(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Steps of all checkpoints of a folder, newest first; the caller frees *steps. */
static int list(const char *dir, uint64_t **steps, size_t *count)
{
    *steps = NULL;
    *count = 0;
    DIR *folder = opendir(dir);
    if (!folder)
        return err_set(errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "cannot read folder %s: %s", dir,
                       strerror(errno));
    size_t room = 0;
    int result = ERR_OK;
    for (struct dirent *entry; result == ERR_OK && (entry = readdir(folder));) {
        int64_t step = step_of(entry->d_name);
        if (step < 0) continue;
        if (*count == room) {
            room = room ? 2 * room : 16;
            uint64_t *more = realloc(*steps, room * sizeof **steps);
            if (more)
                *steps = more;
            else
                result = err_set(ERR_NOMEM, "no memory to list %s", dir);
        }
        if (result == ERR_OK) (*steps)[(*count)++] = (uint64_t)step;
    }
    closedir(folder);
    if (result != ERR_OK) {
        free(*steps);
        *steps = NULL;
        return result;
    }
    if (*count > 1) qsort(*steps, *count, sizeof **steps, falling);
    return ERR_OK;
}

static int prune(const char *dir, uint64_t newest, unsigned keep)
{
    uint64_t *steps;
    size_t count;
    char path[PATH_MAX];
    int result = list(dir, &steps, &count);
    if (result != ERR_OK) return result;
    unsigned kept = 0;
    for (size_t i = 0; i < count && result == ERR_OK; i++) {
        if (steps[i] <= newest && kept++ < keep) continue;
        result = file_path(path, sizeof path, dir, steps[i]);
        if (result == ERR_OK && unlink(path) != 0 && errno != ENOENT)
            result = err_set(ERR_IO, "cannot remove %s: %s", path, strerror(errno));
    }
    free(steps);
    return result;
}

int checkpoint_commit(struct checkpoint_writer *writer, unsigned keep)
{
    int result = writer->failed;
    if (result != ERR_OK) {
        checkpoint_abort(writer);
        return result;
    }
    struct section_header end = {.bytes = newfile_bytes(writer->file) + ALIGN};
    end.data_hash = XXH3_64bits(writer->hash, writer->sections * sizeof writer->hash[0]);
    end.hash = header_hash(&end);
    newfile_write(writer->file, &end, sizeof end);
    result = newfile_commit(writer->file);
    if (result == ERR_OK) result = prune(writer->dir, writer->step, keep ? keep : 1);
    free(writer);
    return result;
}

void checkpoint_abort(struct checkpoint_writer *writer)
{
    if (!writer) return;
    newfile_abort(writer->file);
    free(writer);
}

static int check_header(const struct file_header *header)
{
    if (memcmp(header->magic, magic, sizeof magic) != 0)
        return err_set(ERR_FORMAT, "not a checkpoint");
    if (header->hash != header_hash(header))
        return err_set(ERR_CHECKSUM, "the header's checksum does not match");
    if (header->version != VERSION)
        return err_set(ERR_VERSION, "a checkpoint of version %u; this build reads %d",
                       header->version, VERSION);
    return ERR_OK;
}

/* Verify the sections of a file whose header is right. */
static int check_sections(struct checkpoint *c, const char *data, size_t bytes)
{
    uint64_t hashes[CHECKPOINT_MAX_SECTIONS];
    for (size_t at = ALIGN;;) {
        if (bytes - at < ALIGN) return err_set(ERR_FORMAT, "cut off at byte %zu", at);
        const struct section_header *header = (const void *)(data + at);
        if (header->hash != header_hash(header))
            return err_set(ERR_CHECKSUM, "the checksum of the section at byte %zu does not match",
                           at);
        at += ALIGN;
        if (header->name[0] == '\0') {
            if (header->bytes != bytes || at != bytes ||
                header->data_hash != XXH3_64bits(hashes, c->sections * sizeof hashes[0]))
                return err_set(ERR_FORMAT, "a section is missing, or something follows the end");
            return ERR_OK;
        }
        if (memchr(header->name, '\0', sizeof header->name) == NULL ||
            c->sections == CHECKPOINT_MAX_SECTIONS || header->bytes > bytes - at)
            return err_set(ERR_FORMAT, "the section at byte %zu has an impossible name or length",
                           at);
        size_t pad = -header->bytes % ALIGN;
        if (pad > bytes - at - header->bytes ||
            memcmp(data + at + header->bytes, zeros, pad) != 0 ||
            XXH3_64bits(data + at, header->bytes) != header->data_hash)
            return err_set(ERR_CHECKSUM, "section '%s' is damaged", header->name);
        hashes[c->sections] = header->hash;
        c->section[c->sections++] = (struct section){header->name, data + at, header->bytes};
        at += header->bytes + pad;
    }
}

int checkpoint_parse(const void *data, size_t bytes, struct checkpoint **out)
{
    if (bytes < 2 * ALIGN) return err_set(ERR_FORMAT, "%zu bytes are too few", bytes);
    int result = check_header(data);
    if (result != ERR_OK) return result;
    struct checkpoint *c = calloc(1, sizeof *c);
    if (!c) return err_set(ERR_NOMEM, "no memory to read a checkpoint");
    c->step = ((const struct file_header *)data)->step;
    result = check_sections(c, data, bytes);
    if (result != ERR_OK)
        free(c);
    else
        *out = c;
    return result;
}

static int open_file(const char *path, int flags, struct checkpoint **out)
{
    struct stat st;
    void *map = MAP_FAILED;
    /* A pipe is refused, not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
    if (fd < 0 && errno == ELOOP) return err_set(ERR_FORMAT, "%s: it is a symbolic link", path);
    if (fd < 0)
        return err_set(errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "cannot open %s: %s", path,
                       strerror(errno));
    int regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (regular && st.st_size > 0)
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (!regular) return err_set(ERR_IO, "%s is not a regular file", path);
    if (st.st_size == 0) return err_set(ERR_FORMAT, "%s: it is empty", path);
    if (map == MAP_FAILED) return err_set(ERR_IO, "cannot map %s", path);
    struct checkpoint *c;
    int result = checkpoint_parse(map, (size_t)st.st_size, &c);
    if (result != ERR_OK) {
        munmap(map, (size_t)st.st_size);
        return err_set(result, "%s: %s", path, err_text());
    }
    snprintf(c->path, sizeof c->path, "%s", path);
    c->map = map;
    c->map_bytes = (size_t)st.st_size;
    *out = c;
    return ERR_OK;
}

int checkpoint_open(const char *path, struct checkpoint **out)
{
    return open_file(path, 0, out);
}

/* A name that leads nowhere is damage, too: no checkpoint at all would mean to begin anew. */
static int is_damage(int code)
{
    return code == ERR_FORMAT || code == ERR_CHECKSUM || code == ERR_NOTFOUND;
}

/* What a person needs to know of several files must find room in an error's text, with a hint. */
enum { TOLD_FILES = 3, TOLD_BYTES = 480, FOLDER_BYTES = 240 };

/* Add to told[TOLD_BYTES] what checkpoint_open() has just said of its i-th file, of `count`: the
 * name within the folder, and why. */
static void tell_damage(char *told, const char *path, size_t i, size_t count)
{
    size_t used = strlen(told), length = strlen(path);
    const char *name = strrchr(path, '/') + 1, *why = err_text();
    if (strncmp(why, path, length) == 0) why += length + strspn(why + length, ": ");
    if (i < TOLD_FILES)
        snprintf(told + used, TOLD_BYTES - used, "%s%s (%.90s)", i ? ", " : "", name, why);
    else if (i == TOLD_FILES)
        snprintf(told + used, TOLD_BYTES - used, " and %zu more", count - i);
}

static int none_is_intact(const char *dir, size_t count, const char *told)
{
    size_t length = strlen(dir);
    int is_long = length > FOLDER_BYTES;
    const char *dots = is_long ? "..." : "", *end = is_long ? dir + length - FOLDER_BYTES : dir;
    if (count == 1)
        return err_set(ERR_CORRUPT, "the only checkpoint in %s%s cannot be read: %s", dots, end,
                       told);
    return err_set(ERR_CORRUPT, "none of the %zu checkpoints in %s%s can be read: %s", count, dots,
                   end, told);
}

int checkpoint_newest(const char *dir, struct checkpoint **out, unsigned *damaged)
{
    uint64_t *steps;
    size_t count;
    char path[PATH_MAX], first_damage[512] = "", told[TOLD_BYTES] = "";
    *damaged = 0;
    int result = list(dir, &steps, &count);
    if (result != ERR_OK) return result;
    result = ERR_NOTFOUND;
    for (size_t i = 0; i < count && result != ERR_OK; i++) {
        result = file_path(path, sizeof path, dir, steps[i]);
        if (result == ERR_OK) result = open_file(path, O_NOFOLLOW, out);
        if (result == ERR_OK) break;
        if (!is_damage(result)) break;
        if (++*damaged == 1) snprintf(first_damage, sizeof first_damage, "%s", err_text());
        tell_damage(told, path, i, count);
    }
    free(steps);
    if (count == 0) return err_set(ERR_NOTFOUND, "no checkpoint in %s", dir);
    if (is_damage(result)) return none_is_intact(dir, count, told);
    if (result == ERR_OK && *damaged) err_set(ERR_CORRUPT, "%s", first_damage);
    return result;
}

void checkpoint_close(struct checkpoint *c)
{
    if (!c) return;
    if (c->map) munmap(c->map, c->map_bytes);
    free(c);
}

uint64_t checkpoint_step(const struct checkpoint *c)
{
    return c->step;
}

const char *checkpoint_path(const struct checkpoint *c)
{
    return c->path;
}

int checkpoint_find(const struct checkpoint *c, const char *name, const void **data, size_t *bytes)
{
    for (size_t i = 0; i < c->sections; i++)
        if (strcmp(c->section[i].name, name) == 0) {
            *data = c->section[i].data;
            *bytes = c->section[i].bytes;
            return ERR_OK;
        }
    return err_set(ERR_NOTFOUND, "it has no section '%s'", name);
}

size_t checkpoint_sections(const struct checkpoint *c)
{
    return c->sections;
}

const char *checkpoint_section(const struct checkpoint *c, size_t i)
{
    return i < c->sections ? c->section[i].name : NULL;
}
