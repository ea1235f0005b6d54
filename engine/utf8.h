/* UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef SLUICE_ENGINE_UTF8_H
#define SLUICE_ENGINE_UTF8_H

#include <stddef.h>

/* Whether all of text[size] is valid. NUL is valid. */
int utf8_valid(const char *text, size_t size);

/* The longest length <= size that does not end inside a character. */
size_t utf8_boundary(const char *text, size_t size);

/* Put U+FFFD in place of each surrogate that was written as three bytes (ed a0 80 to ed bf bf), as
 * UTF-16 or JSON with a lone one comes out; the size stays. Gives their number. */
size_t utf8_mend(char *text, size_t size);

#endif
