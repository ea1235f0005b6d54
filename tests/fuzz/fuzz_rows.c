/*
 * Any bytes as a file of rows, whatever kind they look like (.npy, .npz, safetensors, an index):
 * refused, or every row, token id and sequence of it can be read. Options are the usual ones, and
 * those that the last byte says.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "engine/row_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void read_all(struct row_file *f)
{
    enum { PIECE = 7 };
    float *values = malloc(PIECE * f->view.width * sizeof *values);
    uint32_t tokens[PIECE];
    uint64_t next = 0;
    if (!values) abort();
    for (uint64_t s = 0; s < f->sequences; s++) {
        uint64_t first;
        uint32_t rows;
        row_file_sequence(f, s, &first, &rows);
        if (first != next || rows == 0 || rows > f->longest) abort();
        next += rows;
    }
    if (next != f->view.rows) abort();
    int result = f->view.rows > 0 ? row_file_open(f) : ERR_NOTFOUND;
    for (uint64_t at = 0; at < f->view.rows && result == ERR_OK; at += PIECE) {
        uint64_t left = f->view.rows - at;
        result = row_file_read(f, at, left < PIECE ? left : PIECE, values, tokens);
    }
    free(values);
}

static void look(const char *path, int options)
{
    static const char *const hooks[] = {"a", "b"};
    struct engine_options o = {.hooks = hooks,
                               .hooks_count = options & 1 ? 2 : 0,
                               .tensor = options & 2 ? "acts" : NULL,
                               .tokens_tensor = options & 4 ? "tokens" : NULL,
                               .sequences_tensor = options & 8 ? "sequences" : NULL,
                               .file_axes = (options >> 4 & 3) % 3,
                               .file_is_bf16 = options >> 6 & 1,
                               .file_sequence_rows = 5};
    struct row_file f;
    if (row_file_look(path, &o, &f) != ERR_OK) return;
    read_all(&f);
    row_file_fini(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char path[64];
    if (bytes < 1) return 0;
    snprintf(path, sizeof path, "/dev/shm/sluice-fuzz-%ld", (long)getpid());
    FILE *file = fopen(path, "wb");
    if (!file) return 0;
    fwrite(data, 1, bytes, file);
    if (fclose(file) != 0) return 0;
    static const int usual[] = {0, 2, 6, 14, 0x42, 0x22};
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) look(path, usual[i]);
    look(path, data[bytes - 1]);
    unlink(path);
    return 0;
}
