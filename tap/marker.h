/*
 * A word by which a caller keeps a request out of the stream: text that may lie anywhere in it, over as
 * many tokens as it takes. Found in the bytes of the tokens as they are submitted; knows no llama.cpp.
 *
 * What was found so far is one bit for each beginning of the word that the text may end in, so that a
 * text that is not known any more (its tail was removed from the cache) is all bits: then what follows
 * is found where it goes on with any end of the word.
 */
#ifndef SLUICE_TAP_MARKER_H
#define SLUICE_TAP_MARKER_H

#include <stddef.h>
#include <stdint.h>

enum { MARKER_BYTES = 64 };
#define MARKER_NOTHING UINT64_C(0) /* the text has just begun */
#define MARKER_UNKNOWN UINT64_MAX  /* it may end in anything */

struct marker {
    char text[MARKER_BYTES]; /* "": none */
    uint32_t number;         /* of this text in the process, from 1; 0: none, or not numbered */
};

/* Make ready to look for `text`, which is shorter than MARKER_BYTES. */
void marker_make(const char *text, struct marker *marker);

/* Take more bytes; *begun: bit k says that the word's first k + 1 bytes may lie before them. 1: it is
 * there, whole. */
int marker_take(const struct marker *marker, const char *bytes, size_t count, uint64_t *begun);

#endif
