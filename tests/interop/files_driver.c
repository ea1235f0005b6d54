/*
 * For test_row_files.py: rows of a file as the engine `files` makes them.
 *
 *   files_driver FOLDER FILE AXES DTYPE [TENSOR [TOKENS [SEQUENCES]]]
 *
 * FOLDER/ids: a struct row_id of each row; FOLDER/rows: float32. AXES: auto, sequences or layers;
 * DTYPE: auto or bf16; "" for no tensor.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "engine/engine.h"
#include "engine/options.h"

static void must(int code)
{
    if (code == ERR_OK) return;
    fprintf(stderr, "files_driver: %s: %s\n", err_str(code), err_text());
    exit(1);
}

static FILE *create(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file) must(err_set(ERR_IO, "cannot write %s", path));
    return file;
}

static void write_rows(struct engine *engine, const char *folder)
{
    FILE *ids = create(folder, "ids"), *rows = create(folder, "rows");
    struct engine_batch b;
    do {
        must(engine_next(engine, &b));
        if (fwrite(b.ids, sizeof *b.ids, b.rows, ids) != b.rows ||
            fwrite(b.values, 4 * engine_info(engine)->width, b.rows, rows) != b.rows)
            must(err_set(ERR_IO, "cannot write rows"));
    } while (b.rows > 0);
    if (fclose(ids) != 0 || fclose(rows) != 0) must(err_set(ERR_IO, "cannot write rows"));
}

static const char *argument(int argc, char **argv, int i)
{
    return i < argc && argv[i][0] ? argv[i] : NULL;
}

int main(int argc, char **argv)
{
    if (argc < 5 || argc > 8) {
        fprintf(stderr,
                "usage: files_driver FOLDER FILE AXES DTYPE [TENSOR [TOKENS [SEQUENCES]]]\n");
        return 2;
    }
    const char *files[] = {argv[2]};
    struct engine_options options = {.kind = ENGINE_FILES,
                                     .share_count = 1,
                                     .files = files,
                                     .files_count = 1,
                                     .tensor = argument(argc, argv, 5),
                                     .tokens_tensor = argument(argc, argv, 6),
                                     .sequences_tensor = argument(argc, argv, 7),
                                     .file_axes = strcmp(argv[3], "layers") == 0 ? FILE_AXES_LAYERS
                                                  : argv[3][0] == 's' ? FILE_AXES_SEQUENCES
                                                                      : FILE_AXES_AUTO,
                                     .file_is_bf16 = strcmp(argv[4], "bf16") == 0,
                                     .file_sequence_rows = 512};
    struct engine *engine;
    must(engine_open(&options, &engine));
    write_rows(engine, argv[1]);
    engine_close(engine);
    return 0;
}
