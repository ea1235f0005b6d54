/*
 * One line of text that fits a terminal: made of pieces, of which the least important are left out
 * until the rest fits. Nothing is cut in its middle but the first piece or two, which stay always.
 */
#ifndef SLUICE_CLI_LINE_H
#define SLUICE_CLI_LINE_H

#include <stddef.h>

enum { LINE_PIECES = 48, LINE_PIECE_BYTES = 512, LINE_ALWAYS = 0 };

/* What stands between a piece and the one before it in its column, where both are shown: " | ",
 * " ", ", ". Behind the first of all, the head, there is a gap. */
enum line_joint { LINE_COLUMN, LINE_SPACE, LINE_COMMA };
enum line_style { LINE_PLAIN, LINE_SOFT, LINE_STRONG, LINE_TROUBLE };

struct line_piece {
    char text[LINE_PIECE_BYTES];
    enum line_joint joint;
    enum line_style style;
    int rank;    /* LINE_ALWAYS: it stays; of the others the highest is left out first */
    int may_cut; /* before it is left out it is cut */
    int is_left_out;
};

struct line { /* zeroed, it is empty */
    struct line_piece piece[LINE_PIECES];
    size_t count;
};

/* Add a piece; what is no printable text in it is escaped (cli/shown.h). An empty one is none. One
 * too many is left out. */
void line_add(struct line *line, enum line_joint joint, int rank, enum line_style style,
              const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The last piece is a sentence of somebody else's, of any length: it may be cut in its middle. */
void line_may_cut(struct line *line);

/* What fits into `columns` of a terminal (0: all of it), NUL-terminated UTF-8 in out[bytes], with
 * escape sequences of colours where `colour`. A piece that stays and does not fit is cut in its
 * middle, where its ends say most, with an ellipsis. */
void line_text(struct line *line, int columns, int colour, char *out, size_t bytes);

/* Columns of a terminal that UTF-8 text takes: 2 for wide characters, 0 for marks that combine. */
int line_width(const char *text);

#endif
