/*
 * What producers, broker, sinks and observers say to each other. Each message is one ZeroMQ part.
 * Between broker and sink a 4-byte link number precedes it, as a part of its own. PROTOCOL.md is
 * the byte-exact document. A frame (frame.h) is a message too; its magic tells it apart.
 *
 *   producer -> sink    HELLO, DESCRIBE, frame, END, PING, BYE
 *   sink -> producer    WELCOME, STATE, REFUSE
 *   sink -> broker      ATTACH, PING          broker -> sink   ATTACHED, GONE (a producer's link)
 *   broker -> producer  REFUSE (no sink, session over)
 *   anyone -> broker    REPORT (one second of telemetry, JSON)
 *   anyone -> broker    ASK                   broker -> it     TELL (what all reported, JSON)
 */
#ifndef SLUICE_PROTO_MESSAGE_H
#define SLUICE_PROTO_MESSAGE_H

#include "base/row.h"
#include "proto/frame.h"
#include "proto/name.h"

enum message_type {
    MESSAGE_HELLO = 1,
    MESSAGE_WELCOME,
    MESSAGE_DESCRIBE,
    MESSAGE_STATE,
    MESSAGE_END,
    MESSAGE_REFUSE,
    MESSAGE_PING,
    MESSAGE_BYE,
    MESSAGE_ATTACH,
    MESSAGE_ATTACHED,
    MESSAGE_GONE,
    MESSAGE_REPORT,
    MESSAGE_ASK,
    MESSAGE_TELL,
};

/* Bounds on the text, by type (message_max_text()). */
enum {
    MESSAGE_MAX_TEXT_BYTES = 3 << 20,    /* WELCOME, DESCRIBE: a descriptor that may be measured */
    MESSAGE_MAX_TELL_BYTES = 512 << 10,  /* TELL */
    MESSAGE_MAX_HELLO_BYTES = 64 << 10,  /* HELLO: one that is not */
    MESSAGE_MAX_REPORT_BYTES = 64 << 10, /* REPORT */
    MESSAGE_MAX_REFUSE_BYTES = 4 << 10,  /* REFUSE: a sentence */
};

/* Of all reports together, and what was made of them, so much is kept by a broker. */
enum { MESSAGE_KEPT_REPORTS_BYTES = 4 << 20 };

enum message_flags {
    MESSAGE_MEASURE = 1, /* WELCOME: measure norms, scale and mean, then DESCRIBE */
    MESSAGE_RESYNC = 2,  /* STATE: go on from next_number again (gap or rollback) */
    MESSAGE_ENDED = 4,   /* WELCOME, STATE: the producer's end is committed. REFUSE, a sink's BYE to
                            the broker: the stream has ended */
    MESSAGE_STOP = 8,    /* WELCOME, STATE: nobody needs more rows: end here */
    MESSAGE_RETRY = 16, /* REFUSE: not now; ask again in a second. Without it: exit with an error */
    MESSAGE_SHED = 32,  /* HELLO: policy shed (live); otherwise block */
};

/* One struct for all control messages; each type uses the fields that its line names. */
struct message {
    uint8_t type;
    uint32_t flags;
    uint64_t stream;            /* all but REPORT, ASK, TELL: stream_key */
    uint64_t session;           /* WELCOME, DESCRIBE, STATE, END, PING, BYE; REFUSE (0: none yet);
                                   ATTACHED (life of the broker) */
    uint32_t producer;          /* HELLO, WELCOME, STATE, END: index in the share */
    uint32_t share_count;       /* HELLO: number of producers of the stream */
    uint32_t epoch;             /* HELLO (0: a new life, else the one it has), WELCOME */
    uint32_t code;              /* REFUSE: enum err */
    uint64_t next_number;       /* WELCOME, STATE: all below are committed. END: last number + 1 */
    uint64_t credit;            /* WELCOME, STATE: highest number that will be taken */
    struct cursor cursor;       /* WELCOME, STATE with RESYNC: of frame next_number */
    struct frame_totals totals; /* END, BYE, PING: the producer's, so that they survive it */
    char name[MESSAGE_NAME_BYTES]; /* HELLO: producer; ATTACH: sink; REPORT: process */
    const char *text; /* HELLO, WELCOME, DESCRIBE: descriptor JSON; REFUSE: a sentence; REPORT,
                         TELL: JSON. Borrowed: points into the decoded bytes; not NUL-terminated */
    uint32_t text_bytes;
};

enum { MESSAGE_HEADER_BYTES = 256 };

/* Bytes of text that a message of this type may carry; 0: none (also of an unknown type). */
uint32_t message_max_text(uint8_t type);
/* Bytes that message_encode will write: MESSAGE_HEADER_BYTES and the text. */
size_t message_bytes(const struct message *m);
/* Encode into out[message_bytes(m)]. Fields that the type does not use are sent as they are: leave
 * them 0. Never fails for a message within bounds; ERR_LIMIT for an unknown type or flag, a name
 * that message_name_ok() refuses (or none where the type needs one), more text than the type may
 * carry. */
int message_encode(const struct message *m, uint8_t *out);
/* Decode and check: magic, version, checksum of the header; then type, flags, lengths, name; then
 * the checksum of the text. `size` must be the message's size exactly. ERR_FORMAT, ERR_CHECKSUM,
 * ERR_VERSION, ERR_LIMIT. `m->text` points into `data` (NULL where there is none). */
int message_decode(const uint8_t *data, size_t size, struct message *m);
/* Whether the bytes begin as a frame does. */
int message_is_frame(const uint8_t *data, size_t size);

/* The number that stands for a stream on the wire: XXH3-64 of its name. */
uint64_t stream_key(const char *name);

#endif
