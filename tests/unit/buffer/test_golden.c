/*
 * A buffer of version 1, as it was written before the rooms were rebuilt (tests/golden/
 * buffer-v1.mdb: two producers, 700 rows of 3 float32 values, synthetic, seed 7), is read: all rows,
 * in the order of that time.
 */
#include "base/err.h"
#include "base/fileio.h"
#include "buffer/draw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include <cmocka.h>

enum { WIDTH = 3, BATCH = 64 };

static void copy(const char *from, const char *to)
{
    char *data;
    size_t bytes;
    if (file_read(from, (size_t)1 << 24, &data, &bytes) != ERR_OK) fail_msg("%s", err_text());
    assert_int_equal(file_replace(to, data, bytes), ERR_OK);
    free(data);
}

static void a_buffer_of_then_is_read(void **state)
{
    (void)state;
    char dir[] = "/tmp/sluice-golden-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    copy("tests/golden/buffer-v1.mdb", path);
    snprintf(path, sizeof path, "%s/boot", dir);
    assert_int_equal(file_replace(path, "closed\n", 7), ERR_OK); /* as a sink leaves it */
    struct draw_options options = {.dir = dir,
                                   .stream = "gold",
                                   .consumer = "main",
                                   .reuse = 1,
                                   .seed = 5,
                                   .held_out_one_in = 0,
                                   .replay = 1,
                                   .shuffle = 1};
    struct draw *draw;
    if (draw_open(&options, &draw) != ERR_OK) fail_msg("%s", err_text());
    assert_int_equal(draw_width(draw), WIDTH);
    struct row_id ids[BATCH];
    float values[BATCH * WIDTH];
    uint64_t rows = 0, hash = 0, sum = 0;
    for (;;) {
        struct draw_batch batch = {.values = values, .ids = ids, .rows = BATCH};
        int result = draw_next(draw, &batch);
        if (result == ERR_NOTFOUND) break;
        if (result != ERR_OK) fail_msg("%s", err_text());
        for (size_t r = 0; r < batch.rows; r++) {
            hash = XXH3_64bits_withSeed(values + r * WIDTH, WIDTH * sizeof *values, hash);
            hash ^= ids[r].sequence * 31 + ids[r].position;
            sum += ids[r].sequence + ids[r].position;
        }
        rows += batch.rows;
    }
    draw_close(draw);
    dir_remove(dir);
    assert_int_equal(rows, 700);
    assert_int_equal(sum, 0x4ede);
    if (hash != UINT64_C(0xb0fa4f1ea5ed003a))
        fail_msg("other rows, or another order: 0x%llx", (unsigned long long)hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_buffer_of_then_is_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
