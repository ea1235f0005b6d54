/* The header Range of HTTP, of one range of bytes (RFC 9110, 14.1). */
#ifndef SLUICE_RUNTIME_RANGE_H
#define SLUICE_RUNTIME_RANGE_H

#include <stdint.h>

enum range {
    RANGE_ALL,  /* none, several, or not understood: the whole is sent */
    RANGE_PART, /* *first, and *bytes of them */
    RANGE_NONE, /* it asks for what is not there: status 416 */
};

/* Of a body of so many bytes. `text` is the header's value; NULL: there is none. */
enum range range_read(const char *text, uint64_t whole_bytes, uint64_t *first, uint64_t *bytes);

#endif
