/* UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef SLUICE_ENGINE_UTF8_H
#define SLUICE_ENGINE_UTF8_H

#include <stddef.h>

/* Whether all of text[size] is valid. NUL is valid. */
int utf8_valid(const char *text, size_t size);

/* The longest length <= size that does not end inside a character. */
size_t utf8_boundary(const char *text, size_t size);

#endif
