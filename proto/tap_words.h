/*
 * What `sluice tap` and the programs that it taps say to each other. PROTOCOL.md ("A tapped program")
 * has it in prose.
 *
 * At its start a program is told by variables of its environment: TAP_VARIABLE and the name of a setting
 * in capitals. Later it serves a unix socket (proto/tap_folder.h): one request and one answer, each a
 * text of lines (proto/lines.h) that begins with TAP_HELLO and the protocol's number.
 */
#ifndef SLUICE_PROTO_TAP_WORDS_H
#define SLUICE_PROTO_TAP_WORDS_H

enum {
    TAP_PROTOCOL = 1,
    TAP_REQUEST_BYTES = 4096, /* at most */
    TAP_ANSWER_BYTES = 16384, /* at most */
    TAP_SECONDS = 2,          /* for a request to be there, and for its answer to be taken */
};

#define TAP_HELLO            "sluice-tap"

/* What is asked: TAP_DO with one of these. */
#define TAP_DO               "do"
#define TAP_STATUS           "status"
#define TAP_SET              "set" /* with the settings that are to change */

/* The answer: TAP_RESULT is TAP_OK, and what TAP_STATUS tells follows; or TAP_REFUSED, and TAP_WHY. */
#define TAP_RESULT           "result"
#define TAP_OK               "ok"
#define TAP_REFUSED          "refused"
#define TAP_WHY              "why"

/* Settings: names in requests and answers. */
#define TAP_ON               "on" /* yes, no */
#define TAP_STREAM           "stream"
#define TAP_HOOKS            "hooks" /* divided by commas */
#define TAP_SHARE            "share" /* of sequences */
#define TAP_ROWS_PER_SECOND  "rows_per_second"
#define TAP_BYTES_PER_SECOND "bytes_per_second" /* of rows; the lower of both limits holds */
#define TAP_FOLDER           "folder"           /* of rings; "": the stream's usual one */
#define TAP_RING_BYTES       "ring_bytes"       /* 0: libsluice's usual size */
#define TAP_DTYPE            "dtype"            /* bf16, f32 */
#define TAP_EXCLUDE          "exclude" /* text by which callers keep a request out; "": none */

/* At the start alone: a part of the path of the model that is tapped; "": any that generates. */
#define TAP_MODEL            "model"

/* What is steered: a table's path (proto/steer.h; it may be removed once the answer is there), "" for
 * nothing; and whether sequences that it changes stay in the stream. */
#define TAP_STEER            "steer"
#define TAP_KEEP_STEERED     "keep_steered" /* yes, no */

/* A program's variables: SLUICE_TAP_SHARE=0.1. */
#define TAP_VARIABLE         "SLUICE_TAP_"

/* The files that are put in front of it, by LD_PRELOAD and LD_AUDIT. */
#define TAP_LIBRARY          "libsluice-tap.so"
#define TAP_AUDIT_LIBRARY    "libsluice-audit.so"

#endif
