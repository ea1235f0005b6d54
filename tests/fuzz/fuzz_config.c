/*
 * Any bytes as a configuration: refused with a text that names the place, or accepted, and then
 * what is printed loads again and prints the same.
 */
#include "config/config.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static char *printed(const struct config *config, size_t *bytes)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, bytes);
    if (!out || config_print(config, out) != ERR_OK || fclose(out) != 0) abort();
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    /* what follows the first NUL is one --set */
    const char *text = (const char *)data;
    size_t text_bytes = strnlen(text, bytes);
    char *set = NULL;
    if (text_bytes < bytes) set = strndup(text + text_bytes + 1, bytes - text_bytes - 1);
    const char *sets[] = {set};
    struct config *config = NULL, *again = NULL;
    setenv("HOME", "/home/x", 1);
    setenv("DATA", "/data/${y}", 1);
    int result = config_parse(text, text_bytes, "f.yaml", sets, set ? 1 : 0, &config);
    if (result == ERR_OK) {
        size_t first_bytes, second_bytes;
        char *first = printed(config, &first_bytes), *second = NULL;
        if (config_parse(first, first_bytes, "f.yaml", NULL, 0, &again) != ERR_OK) {
            fprintf(stderr, "%s\n%s\n", err_text(), first);
            abort();
        }
        second = printed(again, &second_bytes);
        if (first_bytes != second_bytes || memcmp(first, second, first_bytes) != 0) abort();
        free(first);
        free(second);
        config_free(config);
        config_free(again);
    } else if (result != ERR_USAGE && result != ERR_LIMIT) {
        abort();
    } else if (!strstr(err_text(), "f.yaml") && !strstr(err_text(), "--set") &&
               result == ERR_USAGE) {
        fprintf(stderr, "no place: %s\n", err_text());
        abort();
    }
    free(set);
    return 0;
}
