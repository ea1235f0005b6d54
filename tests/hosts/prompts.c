#include "tests/hosts/prompts.h"

#include "base/err.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TRIES = 200 };

/* The number after `state` (Knuth's MMIX constants): small, and the same everywhere. */
static uint64_t draw(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* The first words of a line's text, in ASCII; NULL where it has fewer. */
static char *beginning(const char *line, int words)
{
    const char *text = NULL;
    json_t *document = json_loads(line, 0, NULL);
    char *out = NULL;
    if (json_unpack(document, "{s:s}", "text", &text) == 0 && (out = malloc(strlen(text) + 1))) {
        size_t bytes = 0;
        int left = words;
        for (const char *p = text; *p && left; p++) {
            int space = isspace((unsigned char)*p);
            if (space && (!bytes || out[bytes - 1] == ' ')) continue;
            if (space && --left == 0) break;
            if (!space && !isprint((unsigned char)*p)) continue;
            out[bytes++] = space ? ' ' : *p;
        }
        out[bytes] = '\0';
        if (left) {
            free(out);
            out = NULL;
        }
    }
    json_decref(document);
    return out;
}

static int begins_as_another(const struct prompts *prompts, const char *text)
{
    size_t word = strcspn(text, " ");
    for (int i = 0; i < prompts->count; i++)
        if (strncmp(prompts->texts[i], text, word + 1) == 0) return 1;
    return 0;
}

/* The line behind the one that holds a byte drawn at random. */
static char *some_line(FILE *file, long bytes, uint64_t *state)
{
    char *line = NULL;
    size_t room = 0;
    fseek(file, (long)(draw(state) % (uint64_t)bytes), SEEK_SET);
    if (getline(&line, &room, file) > 0 && getline(&line, &room, file) > 0) return line;
    free(line);
    return NULL;
}

static void fill(FILE *file, long bytes, int count, int words, uint64_t state,
                 struct prompts *prompts)
{
    for (int tries = 0; prompts->count < count && tries < count * MOST_TRIES; tries++) {
        char *line = some_line(file, bytes, &state);
        char *text = line ? beginning(line, words) : NULL;
        free(line);
        if (text && (tries > count * MOST_TRIES / 2 || !begins_as_another(prompts, text)))
            prompts->texts[prompts->count++] = text;
        else
            free(text);
    }
}

int prompts_read(const char *path, int count, int words, unsigned seed, struct prompts *prompts)
{
    *prompts = (struct prompts){0};
    FILE *file = fopen(path, "r");
    if (!file)
        return err_set(ERR_NOTFOUND, "%s: %s; HINT: run 'make model'", path, strerror(errno));
    prompts->texts = calloc((size_t)count, sizeof *prompts->texts);
    fseek(file, 0, SEEK_END);
    long bytes = ftell(file);
    if (prompts->texts && bytes > 0)
        fill(file, bytes, count, words, 0x9E3779B97F4A7C15u + seed, prompts);
    fclose(file);
    if (prompts->count == count) return ERR_OK;
    prompts_free(prompts);
    return err_set(ERR_FORMAT, "%s has no %d documents of %d words", path, count, words);
}

void prompts_free(struct prompts *prompts)
{
    for (int i = 0; i < prompts->count; i++) free(prompts->texts[i]);
    free(prompts->texts);
    *prompts = (struct prompts){0};
}
