/* What the engine's tests share: a folder of their own, files in it, text, the model. */
#ifndef SLUICE_TESTS_ENGINE_SUPPORT_H
#define SLUICE_TESTS_ENGINE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fileio.h"
#include "base/rng.h"

static char folder[64];

__attribute__((unused)) static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/sluice-engine-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

__attribute__((unused)) static int remove_folder(void **state)
{
    (void)state;
    return dir_remove(folder);
}

/* A path in the folder; four of them live at a time. */
__attribute__((unused)) static const char *in_folder(const char *name)
{
    static char path[4][256];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

__attribute__((unused)) static const char *write_file(const char *name, const void *data,
                                                      size_t size)
{
    const char *path = in_folder(name);
    assert_int_equal(file_replace(path, data, size), ERR_OK);
    return path;
}

__attribute__((unused)) static const char *write_text(const char *name, const char *text)
{
    return write_file(name, text, strlen(text));
}

/* Sentences of common words, the same for the same seed; the caller frees them. */
__attribute__((unused)) static char *make_text(uint64_t seed, size_t words)
{
    static const char *const common[] = {
        "the",  "river", "of",    "a",     "light", "and",   "to",       "in",     "stone",
        "he",   "said",  "that",  "water", "under", "house", "question", "answer", "never",
        "many", "years", "after", "small", "green", "moved", "quickly",  "toward", "city",
        "she",  "wrote", "with",  "paper", "seven", "birds", "engine",   "number", "between"};
    struct rng r;
    rng_seed(&r, seed);
    char *text = malloc(words * 12 + 1), *at = text;
    assert_non_null(text);
    for (size_t i = 0; i < words; i++) {
        const char *word = common[rng_below(&r, sizeof common / sizeof common[0])];
        at += sprintf(at, "%s%s", word, i % 11 == 10 ? ".\n" : " ");
    }
    return text;
}

/* The model that `make model` puts into the cache. The tests need it; nothing is skipped. */
__attribute__((unused)) static const char *model_path(void)
{
    static char path[512];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0])
        snprintf(path, sizeof path, "%s/sluice/models/smollm2.gguf", cache);
    else
        snprintf(path, sizeof path, "%s/.cache/sluice/models/smollm2.gguf", home ? home : "");
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "no model at %s; HINT: make model\n", path);
        fail();
    }
    return path;
}

#endif
