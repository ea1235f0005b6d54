/* What a request to the tap gets as its answer. Knows no socket. */
#ifndef SLUICE_TAP_ANSWER_H
#define SLUICE_TAP_ANSWER_H

#include <stddef.h>
#include <stdint.h>

/* Do what a whole request says (proto/tap_words.h), and write the answer into out[TAP_ANSWER_BYTES].
 * `request`[bytes] is changed. `refused`: programs of other users so far, to be told. Returns the answer's
 * bytes. Any thread. */
size_t answer_request(char *request, size_t bytes, uint64_t refused, char *out);

#endif
