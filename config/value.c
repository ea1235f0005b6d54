#include "config/table.h"

#include "base/err.h"
#include "config/nearest.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint64_t bytes;
} suffixes[] = {
    {"KiB", 1ull << 10},
    {"MiB", 1ull << 20},
    {"GiB", 1ull << 30},
    {"TiB", 1ull << 40},
    {"KB", 1000},
    {"MB", 1000000},
    {"GB", 1000ull * 1000000},
    {"TB", 1000000ull * 1000000},
    {"B", 1},
};
enum { SUFFIXES = sizeof suffixes / sizeof suffixes[0] };

static const struct {
    const char *name;
    uint64_t seconds;
} spans[] = {{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}};
enum { SPANS = sizeof spans / sizeof spans[0] };

/* The largest unit that the number is a multiple of, as "90s" or "7d"; 0 is 0. */
static void duration_text(uint64_t seconds, char *out, size_t bytes)
{
    int i = 0;
    while (i < SPANS - 1 && seconds % spans[i].seconds != 0) i++;
    if (seconds == 0)
        snprintf(out, bytes, "0");
    else
        snprintf(out, bytes, "%llu%s", (unsigned long long)(seconds / spans[i].seconds),
                 spans[i].name);
}

/* Whole numbers print exactly below 2^53; ranges in the table stay readable: 1024, 1e+15. */
static void number_text(const struct config_option *option, double x, char *out, size_t bytes)
{
    if (option->type == OPTION_BYTES) {
        for (int i = 3; i >= 0; i--) {
            double unit = (double)suffixes[i].bytes;
            if (x < unit || fmod(x, unit) != 0) continue;
            snprintf(out, bytes, "%.0f%s", x / unit, suffixes[i].name);
            return;
        }
    }
    if (option->type == OPTION_DURATION)
        duration_text((uint64_t)x, out, bytes);
    else
        snprintf(out, bytes, x < 1e9 && x == floor(x) ? "%.0f" : "%g", x);
}

void config_value_allowed(const struct config_option *option, char *out, size_t bytes)
{
    static const char *const kinds[] = {
        [OPTION_TEXT] = "a text",           [OPTION_PATH] = "a path",
        [OPTION_ENDPOINT] = "an endpoint",  [OPTION_TEXTS] = "a list of texts",
        [OPTION_PATHS] = "a list of paths", [OPTION_COUNT] = "a whole number",
        [OPTION_NUMBER] = "a whole number", [OPTION_BYTES] = "a size",
        [OPTION_REAL] = "a number",         [OPTION_DURATION] = "a duration",
    };
    if (option->type == OPTION_CHOICE) {
        int used = snprintf(out, bytes, "one of");
        for (const struct config_choice *c = option->choices; c->name && (size_t)used < bytes; c++)
            used += snprintf(out + used, bytes - (size_t)used, "%s %s",
                             c == option->choices ? "" : ",", c->name);
        return;
    }
    if (option->low == 0 && option->high == 0) {
        snprintf(out, bytes, "%s", kinds[option->type]);
        return;
    }
    char low[32], high[32];
    number_text(option, option->low, low, sizeof low);
    number_text(option, option->high, high, sizeof high);
    snprintf(out, bytes, "%s from %s to %s", kinds[option->type], low, high);
}

static int refuse(const struct config_option *option, const char *text)
{
    char allowed[256];
    config_value_allowed(option, allowed, sizeof allowed);
    if (option->type == OPTION_CHOICE) {
        struct nearest nearest;
        nearest_begin(&nearest, text);
        for (const struct config_choice *c = option->choices; c->name; c++)
            nearest_offer(&nearest, c->name);
        const char *word = nearest_word(&nearest);
        if (word)
            return err_set(ERR_USAGE, "'%.80s' is not allowed; it is %s; did you mean '%s'?", text,
                           allowed, word);
    }
    const char *such = option->type == OPTION_BYTES      ? ", such as 512MiB or 2GiB"
                       : option->type == OPTION_DURATION ? ", such as 90s, 30m, 1h or 7d"
                                                         : "";
    return err_set(ERR_USAGE, "'%.80s' is not allowed; it is %s%s", text, allowed, such);
}

/* A finite number and what follows it. Only the digits of YAML's numbers: no hex, no "inf". */
static int parse_number(const char *text, double *x, const char **rest)
{
    if (strspn(text, "+-.0123456789") == 0) return 0;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) return 0;
    char *end;
    errno = 0;
    *x = strtod(text, &end);
    if (end == text || !isfinite(*x)) return 0;
    *rest = end;
    return 1;
}

/* What the letters behind a number multiply it by; 0: there is no such unit. */
static uint64_t unit_of(const struct config_option *option, const char *name)
{
    for (int i = 0; i < SUFFIXES && option->type == OPTION_BYTES; i++)
        if (strcmp(name, suffixes[i].name) == 0) return suffixes[i].bytes;
    for (int i = 0; i < SPANS && option->type == OPTION_DURATION; i++)
        if (strcmp(name, spans[i].name) == 0) return spans[i].seconds;
    return 0;
}

static int parse_whole(const struct config_option *option, const char *text, uint64_t *value)
{
    double x;
    const char *rest;
    if (!parse_number(text, &x, &rest)) return refuse(option, text);
    uint64_t unit = 1;
    int has_units = option->type == OPTION_BYTES || option->type == OPTION_DURATION;
    if (has_units && *rest) {
        while (*rest == ' ') rest++;
        unit = unit_of(option, rest);
        if (unit == 0) return refuse(option, text);
        rest = "";
    }
    /* 90 of what? Only nothing needs no unit. */
    if (option->type == OPTION_DURATION && unit == 1 && x != 0 && !strchr(text, 's'))
        return refuse(option, text);
    double whole = x * (double)unit;
    if (*rest || whole < option->low || whole > option->high) return refuse(option, text);
    if (!has_units && x != floor(x)) return refuse(option, text);
    if (option->type == OPTION_DURATION && whole != floor(whole)) return refuse(option, text);
    *value = (uint64_t)whole;
    /* Beyond 2^53 a double has lost the last digits: read plain digits as such. */
    if (strspn(text, "0123456789") == strlen(text)) *value = strtoull(text, NULL, 10);
    return ERR_OK;
}

static int parse_real(const struct config_option *option, const char *text, double *value)
{
    double x;
    const char *rest;
    if (!parse_number(text, &x, &rest) || *rest || x < option->low || x > option->high)
        return refuse(option, text);
    *value = x;
    return ERR_OK;
}

/* Bytes of the character at text (not at its end), 0 where it is not UTF-8. */
static size_t utf8_decode(const char *text, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)text;
    size_t bytes = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (bytes == 0 || p[0] > 0xf4) return 0;
    *code = bytes == 1 ? p[0] : p[0] & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        *code = *code << 6 | (p[i] & 0x3fu);
    }
    int surrogate = *code >= 0xd800 && *code < 0xe000;
    return *code < least[bytes] || *code > 0x10ffff || surrogate ? 0 : bytes;
}

static int is_utf8(const char *text)
{
    uint32_t code;
    for (size_t bytes; *text; text += bytes) {
        bytes = utf8_decode(text, &code);
        if (bytes == 0) return 0;
    }
    return 1;
}

static int is_expanded(const struct config_option *option)
{
    return option->type == OPTION_PATH || option->type == OPTION_PATHS ||
           option->type == OPTION_ENDPOINT;
}

static int copy_text(const struct config_option *option, const char *text, char **copy)
{
    char expanded[CONFIG_PATH_BYTES];
    if (is_expanded(option)) {
        int result = config_expand(text, expanded);
        if (result != ERR_OK) return result;
        text = expanded;
    }
    if (!is_utf8(text)) return err_set(ERR_USAGE, "the value is not valid UTF-8");
    *copy = strdup(text);
    return *copy ? ERR_OK : err_set(ERR_NOMEM, "no memory for the configuration");
}

static int is_text(const struct config_option *option)
{
    return option->type == OPTION_TEXT || option->type == OPTION_PATH ||
           option->type == OPTION_ENDPOINT;
}

static int is_list(const struct config_option *option)
{
    return option->type == OPTION_TEXTS || option->type == OPTION_PATHS;
}

void config_value_clear(const struct config_option *option, void *base)
{
    void *place = (char *)base + option->offset;
    if (is_list(option)) {
        config_list_free(place);
    } else if (is_text(option)) {
        char **text = place;
        free(*text);
        *text = NULL;
    }
}

int config_value_append(const struct config_option *option, void *base, const char *text)
{
    struct config_list *list = (void *)((char *)base + option->offset);
    if (text[0] == '\0') return err_set(ERR_USAGE, "an item of the list is empty");
    char *copy;
    int result = copy_text(option, text, &copy);
    if (result != ERR_OK) return result;
    char **grown = realloc(list->item, (list->count + 1) * sizeof *grown);
    if (!grown) {
        free(copy);
        return err_set(ERR_NOMEM, "no memory for the configuration");
    }
    list->item = grown;
    list->item[list->count++] = copy;
    return ERR_OK;
}

int config_value_set(const struct config_option *option, void *base, const char *text)
{
    void *place = (char *)base + option->offset;
    uint64_t whole = 0;
    int result;
    switch (option->type) {
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_ENDPOINT: {
        char *copy;
        result = copy_text(option, text, &copy);
        if (result != ERR_OK) return result;
        config_value_clear(option, base);
        *(char **)place = copy;
        return ERR_OK;
    }
    case OPTION_TEXTS:
    case OPTION_PATHS:
        config_value_clear(option, base);
        return text[0] ? config_value_append(option, base, text) : ERR_OK;
    case OPTION_COUNT:
        result = parse_whole(option, text, &whole);
        if (result == ERR_OK) *(uint32_t *)place = (uint32_t)whole;
        return result;
    case OPTION_NUMBER:
    case OPTION_BYTES:
    case OPTION_DURATION:
        if (option->type == OPTION_DURATION && text[0] == '\0') text = "0";
        result = parse_whole(option, text, &whole);
        if (result == ERR_OK) *(uint64_t *)place = whole;
        return result;
    case OPTION_REAL:
        return parse_real(option, text, place);
    case OPTION_CHOICE:
        for (const struct config_choice *c = option->choices; c->name; c++)
            if (strcmp(text, c->name) == 0) {
                *(int *)place = c->value;
                return ERR_OK;
            }
        return refuse(option, text);
    }
    return err_set(ERR_INTERNAL, "option %s has no type", option->key);
}

void config_value_copy(const struct config_option *option, void *dst, const void *src)
{
    size_t bytes = 0;
    if (option->type == OPTION_COUNT) bytes = sizeof(uint32_t);
    if (option->type == OPTION_CHOICE) bytes = sizeof(int);
    if (option->type == OPTION_NUMBER || option->type == OPTION_BYTES ||
        option->type == OPTION_DURATION)
        bytes = sizeof(uint64_t);
    if (option->type == OPTION_REAL) bytes = sizeof(double);
    memcpy((char *)dst + option->offset, (const char *)src + option->offset, bytes);
}

/* Always double-quoted: then no text can be taken for another kind of YAML. Control characters,
 * line breaks of Unicode and what YAML's reader refuses are escaped; `expanded`: and what would be
 * taken for a variable. */
static void print_text(const char *text, int expanded, FILE *out)
{
    fputc('"', out);
    for (const char *p = text; *p;) {
        uint32_t code;
        size_t bytes = utf8_decode(p, &code);
        if (expanded && strncmp(p, "${", 2) == 0) fputc('$', out);
        if (code == '"' || code == '\\') {
            fprintf(out, "\\%c", (int)code);
        } else if (code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 ||
                   code == 0x2029 || code == 0xfeff || code == 0xfffe || code == 0xffff) {
            fprintf(out, "\\u%04X", (unsigned)code);
        } else {
            fwrite(p, 1, bytes, out);
        }
        p += bytes;
    }
    fputc('"', out);
}

static void print_real(double x, FILE *out)
{
    char text[32];
    for (int digits = 6; digits <= 17; digits++) { /* the shortest that reads back the same */
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    fputs(text, out);
}

static void print_bytes(uint64_t x, FILE *out)
{
    for (int i = 3; i >= 0; i--)
        if (x >= suffixes[i].bytes && x % suffixes[i].bytes == 0) {
            fprintf(out, "%llu%s", (unsigned long long)(x / suffixes[i].bytes), suffixes[i].name);
            return;
        }
    fprintf(out, "%llu", (unsigned long long)x);
}

int config_value_print(const struct config_option *option, const void *base, FILE *out)
{
    const void *place = (const char *)base + option->offset;
    switch (option->type) {
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_ENDPOINT:
        print_text(*(char *const *)place, is_expanded(option), out);
        break;
    case OPTION_TEXTS:
    case OPTION_PATHS: {
        const struct config_list *list = place;
        fputc('[', out);
        for (uint32_t i = 0; i < list->count; i++) {
            if (i > 0) fputs(", ", out);
            print_text(list->item[i], is_expanded(option), out);
        }
        fputc(']', out);
        break;
    }
    case OPTION_COUNT:
        fprintf(out, "%u", *(const uint32_t *)place);
        break;
    case OPTION_NUMBER:
        fprintf(out, "%llu", (unsigned long long)*(const uint64_t *)place);
        break;
    case OPTION_BYTES:
        print_bytes(*(const uint64_t *)place, out);
        break;
    case OPTION_DURATION: {
        char duration[32];
        duration_text(*(const uint64_t *)place, duration, sizeof duration);
        fputs(duration, out);
        break;
    }
    case OPTION_REAL:
        print_real(*(const double *)place, out);
        break;
    case OPTION_CHOICE:
        for (const struct config_choice *c = option->choices; c->name; c++)
            if (c->value == *(const int *)place) fputs(c->name, out);
        break;
    }
    return ferror(out) ? err_set(ERR_IO, "cannot write the configuration") : ERR_OK;
}
