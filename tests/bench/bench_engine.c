/*
 * The engine alone: seconds and tokens/s of making `rows` rows, filters and all later work left
 * out.
 *
 *   bench_engine CONFIG [--set section.key=value ...]
 *
 * Makes rows until capture.rows of them (first rows of a context and special tokens not counted)
 * have come by. Prints "engine_seconds=S rows=N tokens=N tokens_per_second=R" on stdout. The model
 * is loaded, and where need be prepared, before the clock starts; the first batch is not timed.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "wiring/source.h"

static uint64_t kept_rows(const struct engine_batch *batch)
{
    uint64_t kept = 0;
    for (size_t i = 0; i < batch->rows; i++) kept += batch->flags[i] == 0;
    return kept;
}

static int make_rows(struct engine *engine, uint64_t wanted)
{
    struct engine_batch batch;
    int rc = engine_next(engine, &batch);
    uint64_t rows = 0, tokens_before = engine_counters(engine).tokens;
    double start = clock_seconds(CLOCK_MONOTONIC);
    while (!rc && rows < wanted) {
        rc = engine_next(engine, &batch);
        if (rc || batch.rows == 0) break;
        rows += kept_rows(&batch);
    }
    double seconds = clock_seconds(CLOCK_MONOTONIC) - start;
    uint64_t tokens = engine_counters(engine).tokens - tokens_before;
    if (!rc)
        printf("engine_seconds=%.3f rows=%llu tokens=%llu tokens_per_second=%.1f\n", seconds,
               (unsigned long long)rows, (unsigned long long)tokens, (double)tokens / seconds);
    return rc;
}

int main(int argc, char **argv)
{
    engine_threads_passive(argv); /* as sluice-capture does */
    const char *sets[16];
    size_t sets_count = 0;
    for (int i = 2; i + 1 < argc && sets_count < 16; i += 2)
        if (!strcmp(argv[i], "--set")) sets[sets_count++] = argv[i + 1];
    if (argc < 2) {
        fprintf(stderr, "usage: bench_engine CONFIG [--set section.key=value ...]\n");
        return 2;
    }
    struct config *config = NULL;
    struct source *source = NULL;
    int rc = config_load(argv[1], sets, sets_count, &config);
    if (!rc) rc = source_open(config, 0, NULL, &source);
    if (!rc) rc = make_rows(source_engine(source), config->capture.rows);
    if (rc) fprintf(stderr, "bench_engine: %s: %s\n", err_str(rc), err_text());
    if (source) source_close(source);
    config_free(config);
    return err_exit_code(rc);
}
