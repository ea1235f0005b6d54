/*
 * Text of models and users as people see it: on a terminal nothing of it may be a control sequence,
 * in HTML nothing may be markup. And colours, where somebody looks at them.
 */
#ifndef SLUICE_CLI_SHOWN_H
#define SLUICE_CLI_SHOWN_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

/* Whether to colour what goes there: it is a terminal, and NO_COLOR is not set. */
int shown_colour(FILE *out);

/* text[size] as one line of printable UTF-8, NUL-terminated in out[bytes], cut at a character's end:
 * line ends and tabs are told as \n and \t, other control characters, marks that turn the direction
 * of writing, and bytes that are no UTF-8 as \xNN. */
void shown_text(const char *text, size_t size, char *out, size_t bytes);

/* Write text for HTML: < > & and both quotes as entities, bytes that are no UTF-8 and control
 * characters but line ends and tabs as U+FFFD. */
void shown_html(FILE *out, const char *text, size_t size);

/* JSON on stdout, with so many digits of a number; decrefs it. */
void shown_json(json_t *object, int digits);

/* A bar of `share` (0 to 1) of `width` columns, with eighths. Writes out[bytes]. */
void shown_bar(double share, unsigned width, char *out, size_t bytes);

/* The same in a frame that shows where it ends: two columns more. */
void shown_bar_framed(double share, unsigned width, char *out, size_t bytes);

/* The escape sequence of a background for a share from 0 to 1, pale to deep ("" where !colour); and
 * back to the usual. They live for ever. */
const char *shown_heat(int colour, double share);
const char *shown_plain(int colour);

#endif
