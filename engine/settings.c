#include "engine/settings.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { VALUE_BYTES = 64 };

void settings_text(struct engine_info *info, const char *key, const char *value)
{
    char line[2 * VALUE_BYTES], printable[VALUE_BYTES];
    size_t used = strlen(info->settings);
    snprintf(printable, sizeof printable, "%s", value ? value : "");
    for (char *c = printable; *c; c++)
        if (!isascii((unsigned char)*c) || iscntrl((unsigned char)*c)) *c = '?';
    int n = snprintf(line, sizeof line, "%.40s: %s\n", key, printable);
    if ((size_t)n < sizeof info->settings - used)
        memcpy(info->settings + used, line, (size_t)n + 1);
}

void settings_number(struct engine_info *info, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    settings_text(info, key, text);
}

void settings_real(struct engine_info *info, const char *key, double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.12g", value);
    settings_text(info, key, text);
}

void settings_flag(struct engine_info *info, const char *key, int value)
{
    settings_text(info, key, value ? "true" : "false");
}
