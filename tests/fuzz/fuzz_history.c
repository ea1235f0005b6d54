/*
 * Any bytes as the file of a broker's history: refused, or names, lives and values that can be asked for
 * and written on. The first byte says what the fuzzer is spared from guessing: bit 0 puts a good header
 * in front, bit 1 good checksums on names and lives. The bytes lie at the header, the names, the lives and
 * the first grid in turn, as otherwise all would be zeros.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/err.h"
#include "broker/history.h"
#include "broker/history_file.h"
#include "broker/history_query.h"
#include "runtime/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { HEADER_SPARED = 1, SUMS_SPARED = 2, NAMES_AT = 4096, NAME_BYTES = 160, LIVES_AT = 65536 };
static const uint64_t now = 1800000000;
static char path[64], aside[80];

static void need(int good)
{
    if (!good) abort();
}

static void put(const void *data, size_t bytes, off_t at)
{
    FILE *file = fopen(path, "r+");
    need(file && fseek(file, at, SEEK_SET) == 0 && fwrite(data, 1, bytes, file) == bytes);
    need(fclose(file) == 0);
}

/* A file of a good header and nothing else. */
static void begin(void)
{
    struct history_table *table = malloc(sizeof *table);
    int fd;
    unlink(path);
    need(table && history_file_open(path, "s", table, &fd) == ERR_OK);
    close(fd);
    free(table);
}

static void put_name(const uint8_t *data, size_t bytes, int index)
{
    char entry[NAME_BYTES] = "";
    memcpy(entry, data, bytes < NAME_BYTES ? bytes : NAME_BYTES);
    uint64_t sum = XXH3_64bits(entry, HISTORY_FILE_NAME_BYTES);
    memcpy(entry + HISTORY_FILE_NAME_BYTES, &sum, sizeof sum);
    put(entry, sizeof entry, NAMES_AT + index * NAME_BYTES);
}

static void put_lives(const uint8_t *data, size_t bytes)
{
    static struct lives lives;
    memset(&lives, 0, sizeof lives);
    memcpy(&lives, data, bytes < sizeof lives ? bytes : sizeof lives);
    uint64_t sum = XXH3_64bits(&lives, sizeof lives);
    put(&lives, sizeof lives, LIVES_AT);
    put(&sum, sizeof sum, LIVES_AT + sizeof lives);
}

static void lay_down(uint8_t what, const uint8_t *data, size_t bytes)
{
    if (what & HEADER_SPARED)
        begin();
    else
        put(data, bytes, 0);
    if (what & SUMS_SPARED) {
        size_t half = bytes / 2;
        put_name(data, half, 0);
        put_name(data + half, bytes - half, 1);
        put_lives(data, bytes);
    } else if (what & HEADER_SPARED) {
        put(data, bytes, NAMES_AT);
    }
    put(data, bytes, HISTORY_FILE_GRIDS_AT);
}

static void use(struct history *h)
{
    struct history_query q;
    char *text;
    size_t bytes;
    need(history_count(h) <= HISTORY_FILE_SERIES);
    for (uint32_t i = 0; i < history_count(h); i++)
        need(history_find(h, history_name(h, i)) == (int)i);
    history_set(h, "a", 1, 5);
    history_tick(h, now, 5);
    lives_note(history_lives(h), "sink", 7);
    history_keep_lives(h);
    FILE *out = open_memstream(&text, &bytes);
    need(out != NULL);
    need(history_query_parse(h, NULL, "-2000000", NULL, "50", now, &q) == ERR_OK);
    history_query_write(h, &q, out);
    lives_write(history_lives(h), out);
    fclose(out);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct history *h;
    if (bytes == 0 || bytes > 1 << 16) return 0;
    if (!path[0]) {
        snprintf(path, sizeof path, "/dev/shm/sluice-fuzz-history-%d", (int)getpid());
        snprintf(aside, sizeof aside, "%s.damaged", path);
        log_open("fuzz", LOG_ERROR);
    }
    FILE *file = fopen(path, "w");
    need(file && fclose(file) == 0);
    lay_down(data[0], data + 1, bytes - 1);
    need(history_open(path, "s", &h) == ERR_OK);
    use(h);
    history_close(h);
    need(history_open(path, "s", &h) == ERR_OK); /* what was written on is good */
    need(history_find(h, "a") >= 0);
    history_close(h);
    unlink(aside);
    unlink(path);
    return 0;
}
