/*
 * For test_rows.py, test_points.py and the benches: rows of SmolLM2's hooks (default:
 * resid_post.15), as the engine makes them out of a corpus.
 *
 *   rows_driver MODEL CACHE CORPUS CONTEXTS TOKENS FOLDER [HOOK...]
 *
 * FOLDER/ids: a struct row_id of each row; FOLDER/rows: float32 (rows, hooks, 576). CONTEXTS
 * contexts of TOKENS tokens. The model is the prepared one, which is kept in CACHE: float32
 * weights, those of MODEL dequantized.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "engine/engine.h"
#include "engine/options.h"

static void must(int code)
{
    if (code == ERR_OK) return;
    fprintf(stderr, "rows_driver: %s: %s\n", err_str(code), err_text());
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

static void append(FILE *file, const void *data, size_t size, size_t count)
{
    if (fwrite(data, size, count, file) != count) must(err_set(ERR_IO, "cannot write rows"));
}

static void finish(FILE *file)
{
    if (fclose(file) != 0) must(err_set(ERR_IO, "cannot write rows"));
}

static void write_rows(struct engine *engine, uint32_t contexts, const char *folder)
{
    FILE *ids = create(folder, "ids"), *rows = create(folder, "rows");
    for (uint32_t i = 0; i < contexts; i++) {
        struct engine_batch batch;
        must(engine_next(engine, &batch));
        if (batch.rows == 0) must(err_set(ERR_USAGE, "the corpus is too short"));
        append(ids, batch.ids, sizeof *batch.ids, batch.rows);
        append(rows, batch.values, engine_info(engine)->width * sizeof *batch.values, batch.rows);
    }
    finish(ids);
    finish(rows);
}

int main(int argc, char **argv)
{
    engine_threads_passive(argv);
    if (argc < 7) {
        fprintf(stderr, "usage: rows_driver MODEL CACHE CORPUS CONTEXTS TOKENS FOLDER [HOOK...]\n");
        return 2;
    }
    static const char *const residual[] = {"resid_post.15"};
    const char *const *hooks = argc > 7 ? (const char *const *)argv + 7 : residual;
    const char *corpus[] = {argv[3]};
    struct engine_options options = {.kind = ENGINE_LLAMA,
                                     .hooks = hooks,
                                     .hooks_count = argc > 7 ? (uint32_t)argc - 7 : 1,
                                     .share_count = 1,
                                     .model_file = argv[1],
                                     .cache_dir = argv[2],
                                     .cache_limit_bytes = 8ull << 30,
                                     .corpus = corpus,
                                     .corpus_count = 1,
                                     .text_field = "text",
                                     .on_bad_text = BAD_TEXT_FAIL,
                                     .context_tokens = (uint32_t)strtoul(argv[5], NULL, 10),
                                     .batch_contexts = 1,
                                     .threads = 2,
                                     .prepend_bos = -1};
    struct engine *engine;
    must(engine_open(&options, &engine));
    write_rows(engine, (uint32_t)strtoul(argv[4], NULL, 10), argv[6]);
    engine_close(engine);
    return 0;
}
