#include "engine/npz.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

enum {
    PIECE_BYTES = 1 << 18,
    DEFLATE_MOST = 1040 /* deflate packs 1,032 bytes into one at best */
};

struct member {
    char *name;
    uint64_t index; /* in the archive */
    uint64_t bytes; /* unpacked */
    int stored;
};

struct npz {
    char *path;
    zip_t *zip;
    struct member *member;
    uint32_t count;
};

/* ---- errors ---- */

static int code_of(int zip_code)
{
    switch (zip_code) {
    case ZIP_ER_NOENT:
        return ERR_NOTFOUND;
    case ZIP_ER_OPEN:
    case ZIP_ER_READ:
    case ZIP_ER_SEEK:
        return ERR_IO;
    case ZIP_ER_MEMORY:
        return ERR_NOMEM;
    case ZIP_ER_CRC:
        return ERR_CHECKSUM;
    case ZIP_ER_COMPNOTSUPP:
    case ZIP_ER_ENCRNOTSUPP:
    case ZIP_ER_NOPASSWD:
        return ERR_VERSION;
    default:
        return ERR_FORMAT;
    }
}

static int archive_error(const char *path, int zip_code)
{
    zip_error_t error;
    zip_error_init_with_code(&error, zip_code);
    err_set(code_of(zip_code), "cannot open %s: %s", path, zip_error_strerror(&error));
    zip_error_fini(&error);
    return code_of(zip_code);
}

static int member_error(const char *path, const struct member *m, zip_error_t *error)
{
    return err_set(code_of(zip_error_code_zip(error)), "%s: array %s: %s", path, m->name,
                   zip_error_strerror(error));
}

static int cut_off(const char *path, const struct member *m)
{
    return err_set(ERR_FORMAT, "%s: array %s is cut off", path, m->name);
}

/* ---- the list ---- */

static int add_member(struct npz *z, uint64_t index)
{
    zip_stat_t st;
    zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(z->zip, index, 0, &st) != 0 || (st.valid & needed) != needed) return ERR_OK;
    size_t length = strlen(st.name);
    if (length < 4 || strcmp(st.name + length - 4, ".npy") != 0) return ERR_OK;
    if (st.comp_method == ZIP_CM_DEFLATE && st.size / DEFLATE_MOST > st.comp_size)
        return err_set(ERR_FORMAT, "%s: %.100s has an impossible length", z->path, st.name);
    int plain = !(st.valid & ZIP_STAT_ENCRYPTION_METHOD) || st.encryption_method == ZIP_EM_NONE;
    char *name = strndup(st.name, length - 4);
    if (!name) return err_set(ERR_NOMEM, "no memory for the arrays of %s", z->path);
    z->member[z->count++] =
        (struct member){name, index, st.size, plain && st.comp_method == ZIP_CM_STORE};
    return ERR_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Which of two arrays of one name is meant, readers of ZIP do not agree. */
static int check_names(const struct npz *z)
{
    char **names = calloc((size_t)z->count + 1, sizeof *names);
    if (!names) return err_set(ERR_NOMEM, "no memory for the arrays of %s", z->path);
    for (uint32_t i = 0; i < z->count; i++) names[i] = z->member[i].name;
    if (z->count > 1) qsort(names, z->count, sizeof *names, by_name);
    int result = ERR_OK;
    for (uint32_t i = 1; i < z->count && result == ERR_OK; i++)
        if (strcmp(names[i], names[i - 1]) == 0)
            result = err_set(ERR_FORMAT, "%s has two arrays of the name %s", z->path, names[i]);
    free(names);
    return result;
}

static int list(struct npz *z)
{
    zip_int64_t entries = zip_get_num_entries(z->zip, 0);
    if (entries > UINT32_MAX) return err_set(ERR_LIMIT, "%s has too many members", z->path);
    z->member = calloc((size_t)entries + 1, sizeof *z->member);
    int result = z->member ? ERR_OK : err_set(ERR_NOMEM, "no memory for the arrays of %s", z->path);
    for (zip_int64_t i = 0; i < entries && result == ERR_OK; i++)
        result = add_member(z, (uint64_t)i);
    return result == ERR_OK ? check_names(z) : result;
}

int npz_open(const char *path, struct npz **npz)
{
    int zip_code;
    struct npz *z = calloc(1, sizeof *z);
    if (!z) return err_set(ERR_NOMEM, "no memory to read %s", path);
    z->path = strdup(path);
    z->zip = zip_open(path, ZIP_RDONLY, &zip_code);
    int result = ERR_OK;
    if (!z->path)
        result = err_set(ERR_NOMEM, "no memory to read %s", path);
    else if (!z->zip)
        result = archive_error(path, zip_code);
    if (result == ERR_OK) result = list(z);
    if (result != ERR_OK)
        npz_close(z);
    else
        *npz = z;
    return result;
}

void npz_close(struct npz *z)
{
    if (!z) return;
    if (z->zip) zip_discard(z->zip);
    for (uint32_t i = 0; i < z->count; i++) free(z->member[i].name);
    free(z->member);
    free(z->path);
    free(z);
}

uint32_t npz_count(const struct npz *z)
{
    return z->count;
}

const char *npz_name(const struct npz *z, uint32_t i)
{
    return z->member[i].name;
}

uint64_t npz_size(const struct npz *z, uint32_t i)
{
    return z->member[i].bytes;
}

/* ---- bytes ---- */

static int open_member(zip_t *zip, const char *path, const struct member *m, zip_file_t **file)
{
    *file = zip_fopen_index(zip, m->index, 0);
    return *file ? ERR_OK : member_error(path, m, zip_get_error(zip));
}

/* As many bytes as there are, up to `size`. */
static int read_some(zip_file_t *file, const char *path, const struct member *m, size_t size,
                     void *out, size_t *got)
{
    *got = 0;
    while (*got < size) {
        zip_int64_t n = zip_fread(file, (char *)out + *got, size - *got);
        if (n < 0) return member_error(path, m, zip_file_get_error(file));
        if (n == 0) break;
        *got += (size_t)n;
    }
    return ERR_OK;
}

int npz_begin(struct npz *z, uint32_t i, size_t most, void *out, size_t *known)
{
    zip_file_t *file;
    int result = open_member(z->zip, z->path, &z->member[i], &file);
    if (result != ERR_OK) return result;
    result = read_some(file, z->path, &z->member[i], most, out, known);
    zip_fclose(file);
    return result;
}

/* Read a member to its end, where libzip compares its checksum; into `copy` unless that is NULL.
 * What the archive says of the length bounds what is written. */
static int read_through(struct npz *z, const struct member *m, const struct blob *copy)
{
    zip_file_t *file;
    uint64_t done = 0;
    size_t n = 1;
    char *piece = malloc(PIECE_BYTES);
    if (!piece) return err_set(ERR_NOMEM, "no memory to read %s", z->path);
    int result = open_member(z->zip, z->path, m, &file);
    if (result != ERR_OK) {
        free(piece);
        return result;
    }
    while (result == ERR_OK && n > 0) {
        result = read_some(file, z->path, m, PIECE_BYTES, piece, &n);
        if (result == ERR_OK && n > m->bytes - done)
            result = err_set(ERR_FORMAT, "%s: array %s is longer than it says", z->path, m->name);
        if (result == ERR_OK && copy) result = blob_write(copy, done, n, piece);
        done += n;
    }
    if (result == ERR_OK && done < m->bytes) result = cut_off(z->path, m);
    zip_fclose(file);
    free(piece);
    return result;
}

/* A stored member, read in an archive that is opened for it alone. */
struct stored {
    struct npz *npz;
    struct member *member;
    zip_file_t *file;
};

static int read_stored(void *source, uint64_t offset, size_t size, void *out)
{
    struct stored *s = source;
    size_t got;
    if (zip_fseek(s->file, (zip_int64_t)offset, SEEK_SET) != 0)
        return member_error(s->npz->path, s->member, zip_file_get_error(s->file));
    int result = read_some(s->file, s->npz->path, s->member, size, out, &got);
    return result == ERR_OK && got < size ? cut_off(s->npz->path, s->member) : result;
}

static void close_stored(void *source)
{
    struct stored *s = source;
    if (s->file) zip_fclose(s->file);
    npz_close(s->npz);
    free(s);
}

static int open_stored(const struct npz *z, uint32_t i, struct blob **bytes)
{
    struct stored *s = calloc(1, sizeof *s);
    if (!s) return err_set(ERR_NOMEM, "no memory to read %s", z->path);
    int result = npz_open(z->path, &s->npz);
    if (result == ERR_OK && i >= s->npz->count)
        result = err_set(ERR_FORMAT, "%s has changed while it was read", z->path);
    if (result == ERR_OK) {
        s->member = &s->npz->member[i];
        result = open_member(s->npz->zip, z->path, s->member, &s->file);
    }
    struct blob_source source = {read_stored, close_stored, s};
    if (result == ERR_OK) result = blob_of(z->path, z->member[i].bytes, &source, bytes);
    if (result != ERR_OK) close_stored(s);
    return result;
}

int npz_bytes(struct npz *z, uint32_t i, struct blob **bytes)
{
    const struct member *m = &z->member[i];
    int result;
    *bytes = NULL;
    if (m->stored) {
        result = read_through(z, m, NULL);
        return result == ERR_OK ? open_stored(z, i, bytes) : result;
    }
    result = blob_temporary(m->bytes, bytes);
    if (result == ERR_OK) result = read_through(z, m, *bytes);
    if (result != ERR_OK) {
        blob_close(*bytes);
        *bytes = NULL;
    }
    return result;
}
