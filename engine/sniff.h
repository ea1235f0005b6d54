/*
 * What a stream is, when it is no text that a corpus can be made of: archives, tables, models,
 * pictures, pages, pointers to files that are elsewhere.
 */
#ifndef SLUICE_ENGINE_SNIFF_H
#define SLUICE_ENGINE_SNIFF_H

#include <stddef.h>

/* Look at a stream's first bytes (decompressed, as UTF-8; 64 KiB are enough, or all there are).
 * NULL: it may be text. Else what it is, with its article ("a tar archive"), and in *hint what to
 * do. Both are constant. `text_field` tells a dictionary that Python printed. */
const char *sniff(const char *head, size_t size, const char *text_field, const char **hint);

#endif
