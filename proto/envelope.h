/*
 * What the headers of frames and of messages have in common, in every version: magic, version,
 * header length, and a checksum over all of it in the last 8 bytes. Internal to proto/.
 */
#ifndef SLUICE_PROTO_ENVELOPE_H
#define SLUICE_PROTO_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

enum {
    ENVELOPE_BYTES = 256, /* of a header, whichever it is */
    ENVELOPE_AT_HASH = 248,
};

struct envelope {
    uint8_t magic[4];
    uint16_t version;
    const char *what; /* for people */
};
extern const struct envelope envelope_frame, envelope_message;

/* Zero out[ENVELOPE_BYTES] and write magic, version and length. Never fails. */
void envelope_begin(const struct envelope *e, uint8_t *out);
/* Write the checksum, once all else is in place. Never fails. */
void envelope_seal(uint8_t *out);

/* Whether the bytes begin with its magic. */
int envelope_is(const struct envelope *e, const uint8_t *data, size_t size);
/* Whether these are the bytes of a header that someone wrote in a version that we know. ERR_FORMAT,
 * ERR_VERSION, ERR_CHECKSUM. */
int envelope_check(const struct envelope *e, const uint8_t *data, size_t size);

#endif
