#include "proto/lines.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char key_letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

static int is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

int lines_can_tell(const char *value)
{
    while (*value && !is_control(*value)) value++;
    return !*value;
}

size_t lines_whole(const char *text, size_t bytes)
{
    if (bytes > 0 && text[0] == '\n') return 1;
    const char *end = bytes > 1 ? memmem(text, bytes, "\n\n", 2) : NULL;
    return end ? (size_t)(end - text) + 2 : 0;
}

/* line[bytes] without its end of line, which becomes a NUL. */
static int read_line(char *line, size_t bytes, struct lines *lines)
{
    line[bytes] = '\0';
    for (size_t i = 0; i < bytes; i++)
        if (is_control(line[i])) return err_set(ERR_FORMAT, "a line with a control character");
    size_t key = strspn(line, key_letters);
    if (key < 1 || key > LINES_KEY_BYTES || line[key] != ':' || line[key + 1] != ' ')
        return err_set(ERR_FORMAT, "a line that is not \"key: value\"");
    line[key] = '\0';
    if (lines_get(lines, line)) return err_set(ERR_FORMAT, "\"%s\" is there twice", line);
    if (lines->count == LINES_MAX) return err_set(ERR_LIMIT, "more than %d lines", LINES_MAX);
    lines->line[lines->count].key = line;
    lines->line[lines->count++].value = line + key + 2;
    return ERR_OK;
}

int lines_read(char *text, size_t bytes, struct lines *lines)
{
    lines->count = 0;
    while (bytes > 0) {
        char *end = memchr(text, '\n', bytes);
        if (!end) break;
        size_t length = (size_t)(end - text);
        if (length == 0)
            return bytes == 1 ? ERR_OK : err_set(ERR_FORMAT, "something behind the empty line");
        int result = read_line(text, length, lines);
        if (result != ERR_OK) return result;
        text += length + 1;
        bytes -= length + 1;
    }
    return err_set(ERR_FORMAT, "a text without an empty line at its end");
}

const char *lines_get(const struct lines *lines, const char *key)
{
    for (unsigned i = 0; i < lines->count; i++)
        if (strcmp(lines->line[i].key, key) == 0) return lines->line[i].value;
    return NULL;
}

static void put_bytes(struct lines_out *out, const char *bytes, size_t count)
{
    if (out->is_full || count > out->room - out->bytes) {
        out->is_full = 1;
        return;
    }
    for (size_t i = 0; i < count; i++)
        out->text[out->bytes++] = is_control(bytes[i]) ? ' ' : bytes[i];
}

static void put_end(struct lines_out *out)
{
    put_bytes(out, " ", 1);
    if (!out->is_full) out->text[out->bytes - 1] = '\n';
}

void lines_put(struct lines_out *out, const char *key, const char *value)
{
    put_bytes(out, key, strlen(key));
    put_bytes(out, ": ", 2);
    put_bytes(out, value, strlen(value));
    put_end(out);
}

void lines_printf(struct lines_out *out, const char *key, const char *format, ...)
{
    char value[512];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    if (n < 0 || n >= (int)sizeof value) out->is_full = 1;
    lines_put(out, key, value);
}

int lines_end(struct lines_out *out)
{
    put_end(out);
    return out->is_full ? err_set(ERR_LIMIT, "a text that is longer than %zu bytes", out->room)
                        : ERR_OK;
}
