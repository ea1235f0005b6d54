#include "cli/line.h"

#include "cli/shown.h"

#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

enum { LEAST_CUT = 16 }; /* columns that are worth it */

static const char ellipsis[] = "\u2026";
static const char gap[] = "  ";
static const char *const joints[] = {
    [LINE_COLUMN] = " | ", [LINE_SPACE] = " ", [LINE_COMMA] = ", "};

/* ---- how wide text is ---- */

/* Whatever locale the user has: text is UTF-8 here. */
static locale_t utf8(void)
{
    static locale_t locale;
    if (!locale) locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    return locale;
}

/* Bytes of the character at `text`, and its columns. What is no character is one of each. */
static size_t character(const char *text, int *columns)
{
    wchar_t code = 0;
    mbstate_t state = {0};
    size_t n = mbrtowc(&code, text, MB_CUR_MAX, &state);
    *columns = n && n <= MB_CUR_MAX ? wcwidth(code) : 1;
    if (*columns < 0) *columns = 1;
    return n && n <= MB_CUR_MAX ? n : 1;
}

/* Bytes of as much of text as takes at most so many columns, which *width becomes. */
static size_t head(const char *text, int columns, int *width)
{
    locale_t before = uselocale(utf8());
    size_t used = 0;
    int wide;
    for (*width = 0; text[used]; *width += wide) {
        size_t n = character(text + used, &wide);
        if (*width + wide > columns) break;
        used += n;
    }
    uselocale(before);
    return used;
}

int line_width(const char *text)
{
    int width;
    head(text, 1 << 20, &width);
    return width;
}

/* ---- what fits ---- */

void line_add(struct line *l, enum line_joint joint, int rank, enum line_style style,
              const char *format, ...)
{
    char text[LINE_PIECE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!text[0] || l->count == LINE_PIECES) return;
    struct line_piece *p = &l->piece[l->count++];
    *p = (struct line_piece){.joint = joint, .rank = rank, .style = style};
    shown_text(text, strlen(text), p->text, sizeof p->text);
}

void line_may_cut(struct line *l)
{
    if (l->count) l->piece[l->count - 1].may_cut = 1;
}

/* Two pieces of which the first was a column's own are still one column apart from what stays of
 * the column before. */
static const char *joint_before(const struct line *l, size_t i)
{
    enum line_joint joint = l->piece[i].joint;
    for (size_t before = i; before-- > 0;) {
        if (!l->piece[before].is_left_out) return before ? joints[joint] : gap;
        if (joint != LINE_COLUMN) joint = l->piece[before].joint;
    }
    return "";
}

static int width_of(const struct line *l)
{
    int width = 0;
    for (size_t i = 0; i < l->count; i++)
        if (!l->piece[i].is_left_out)
            width += (int)strlen(joint_before(l, i)) + line_width(l->piece[i].text);
    return width;
}

/* The least important piece that is still there; NULL: all of them stay. Of two the later. */
static struct line_piece *least(struct line *l)
{
    struct line_piece *found = NULL;
    for (size_t i = 0; i < l->count; i++) {
        struct line_piece *p = &l->piece[i];
        if (!p->is_left_out && p->rank != LINE_ALWAYS && (!found || p->rank >= found->rank))
            found = p;
    }
    return found;
}

/* The end of a path and of a sentence says more than its middle. */
static void cut(char *text, int columns)
{
    char end[LINE_PIECE_BYTES];
    int width = line_width(text), kept, skipped;
    if (width <= columns) return;
    size_t first = head(text, columns >= LEAST_CUT ? columns / 4 : columns - 1, &kept);
    int rest = columns >= LEAST_CUT ? columns - 1 - kept : 0;
    size_t from = head(text, width - rest, &skipped);
    while (text[from] && line_width(text + from) > rest) { /* it stood before a wide one */
        int one;
        from += head(text + from, 2, &one);
    }
    snprintf(end, sizeof end, "%s", rest > 0 ? text + from : "");
    snprintf(text + first, LINE_PIECE_BYTES - first, "%s%s", columns > 0 ? ellipsis : "", end);
}

static void fit(struct line *l, int columns)
{
    struct line_piece *p;
    for (size_t i = 0; i < l->count; i++) l->piece[i].is_left_out = 0;
    while (width_of(l) > columns && (p = least(l))) {
        int left = line_width(p->text) - (width_of(l) - columns);
        if (p->may_cut && left >= LEAST_CUT)
            cut(p->text, left);
        else
            p->is_left_out = 1;
    }
    for (size_t i = l->count; i-- > 0 && width_of(l) > columns;) {
        if (l->piece[i].is_left_out) continue;
        int room = line_width(l->piece[i].text) - (width_of(l) - columns);
        if (room < 1)
            l->piece[i].is_left_out = 1;
        else
            cut(l->piece[i].text, room);
    }
}

/* ---- what is written ---- */

static const char *style_of(enum line_style style)
{
    static const char *const styles[] = {[LINE_PLAIN] = "",
                                         [LINE_SOFT] = "\033[2m",
                                         [LINE_STRONG] = "\033[1m",
                                         [LINE_TROUBLE] = "\033[1;33m"};
    return styles[style];
}

static void append(char *out, size_t bytes, const char *text, enum line_style style, int colour)
{
    size_t used = strlen(out);
    int styled = colour && style != LINE_PLAIN && text[0];
    snprintf(out + used, bytes - used, "%s%s%s", styled ? style_of(style) : "", text,
             shown_plain(styled));
}

void line_text(struct line *l, int columns, int colour, char *out, size_t bytes)
{
    out[0] = '\0';
    if (columns > 0) fit(l, columns);
    for (size_t i = 0; i < l->count; i++) {
        if (l->piece[i].is_left_out) continue;
        append(out, bytes, joint_before(l, i), LINE_SOFT, colour);
        append(out, bytes, l->piece[i].text, l->piece[i].style, colour);
    }
}
