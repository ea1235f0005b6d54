#include "cli/shown.h"

#include "engine/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int shown_colour(FILE *out)
{
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
    if (none && none[0]) return 0;
    return isatty(fileno(out)) && !(terminal && strcmp(terminal, "dumb") == 0);
}

/* Bytes of the character that begins here; 0: it is none. */
static size_t character(const char *text, size_t size)
{
    unsigned char first = (unsigned char)text[0];
    size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    return n <= size && utf8_valid(text, n) ? n : 0;
}

static unsigned code_of(const char *text, size_t n)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned code = (unsigned char)text[0] & masks[n];
    for (size_t i = 1; i < n; i++) code = code << 6 | ((unsigned char)text[i] & 0x3fU);
    return code;
}

/* Controls of either kind, and marks that turn or hide what stands beside them. */
static int is_unseen(unsigned code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
           code == 0xfeff || code == 0x61c;
}

void shown_text(const char *text, size_t size, char *out, size_t bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t at = 0, n; at < size; at += n) {
        char piece[24];
        size_t length = n = character(text + at, size - at);
        if (n && !is_unseen(code_of(text + at, n))) {
            memcpy(piece, text + at, n);
        } else if (text[at] == '\n' || text[at] == '\t') {
            length = (size_t)snprintf(piece, sizeof piece, "%s", text[at] == '\n' ? "\\n" : "\\t");
        } else {
            length = 0;
            if (!n) n = 1;
            for (size_t i = 0; i < n; i++)
                length += (size_t)snprintf(piece + length, sizeof piece - length, "\\x%02x",
                                           (unsigned char)text[at + i]);
        }
        if (used + length >= bytes) return;
        memcpy(out + used, piece, length);
        used += length;
        out[used] = '\0';
    }
}

void shown_html(FILE *out, const char *text, size_t size)
{
    for (size_t at = 0, n; at < size; at += n) {
        n = character(text + at, size - at);
        unsigned code = n ? code_of(text + at, n) : 0;
        if (!n || (is_unseen(code) && code != '\n' && code != '\t'))
            fputs("\xef\xbf\xbd", out);
        else if (strchr("<>&\"'", (int)code) && code < 0x80)
            fprintf(out, "&#%u;", code);
        else
            fwrite(text + at, 1, n, out);
        if (!n) n = 1;
    }
}

void shown_json(json_t *object, int digits)
{
    json_dumpf(object, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(digits));
    putchar('\n');
    json_decref(object);
}

void shown_bar(double share, unsigned width, char *out, size_t bytes)
{
    static const char *const eighths[] = {"",       "\u258f", "\u258e", "\u258d",
                                          "\u258c", "\u258b", "\u258a", "\u2589"};
    if (!(share > 0)) share = 0;
    if (share > 1) share = 1;
    unsigned parts = (unsigned)lround(share * width * 8);
    size_t used = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < parts / 8 && used + 8 < bytes; i++)
        used += (size_t)snprintf(out + used, bytes - used, "\u2588");
    if (used + 8 < bytes) snprintf(out + used, bytes - used, "%s", eighths[parts % 8]);
}

void shown_bar_framed(double share, unsigned width, char *out, size_t bytes)
{
    char bar[256];
    shown_bar(share, width, bar, sizeof bar);
    unsigned shown = 0;
    for (const char *at = bar; *at; at++) shown += ((unsigned char)*at & 0xc0) != 0x80;
    snprintf(out, bytes, "\u2595%s%*s\u258f", bar, shown < width ? (int)(width - shown) : 0, "");
}

const char *shown_heat(int colour, double share)
{
    static const char *const shades[] = {"",
                                         "\033[48;5;230;30m",
                                         "\033[48;5;223;30m",
                                         "\033[48;5;216;30m",
                                         "\033[48;5;209;30m",
                                         "\033[48;5;202;30m"};
    if (!colour || !(share > 0)) return "";
    int shade = 1 + (int)(fmin(share, 1) * 4.999);
    return shades[shade];
}

const char *shown_plain(int colour)
{
    return colour ? "\033[0m" : "";
}
