/*
 * Programs of this user that are tapped: found by their sockets (proto/tap_folder.h), asked, and told.
 * A socket that nobody serves any more is removed, and a table to steer by that nobody took for a day. One that another user serves is not spoken to.
 */
#ifndef SLUICE_CLI_TAPS_H
#define SLUICE_CLI_TAPS_H

#include "cli/tap_told.h"
#include "proto/lines.h"
#include "proto/tap_folder.h"
#include "proto/tap_words.h"

#include <stddef.h>

enum { TAPS_MOST = 256 };

struct tap {
    int pid, fd;                    /* -1: not connected */
    char name[TAP_NAME_BYTES];      /* for people: its number, or more where several have it */
    char full_name[TAP_NAME_BYTES]; /* as its socket has it, whoever else is there */
    char trouble[512]; /* why it does not answer; "": it has not been asked, or it has answered */
    char *answer;      /* its text; NULL: none */
    struct lines lines;
};

struct taps {
    struct tap tap[TAPS_MOST];
    size_t count;
    char trouble[512]; /* of a folder that cannot be looked into; "": none */
};

/* Find those that there are, in the order of their numbers. Blocks on nothing. The caller closes them. */
void taps_find(struct taps *taps);
void taps_close(struct taps *taps);

/* Keep the one that `which` names by its number or `name`, or all ("all"); NULL: the only one. ERR_NOTFOUND: there
 * is none; ERR_USAGE: there are several, also of that number, or `which` is none. */
int taps_choose(struct taps *taps, const char *which);

/* Ask all of them, and wait for a second at most. `told`: what they are to change; NULL: nothing. Those
 * that do not answer, or refuse, say so in `trouble`. ERR_LIMIT: it is too much to tell. */
int taps_ask(struct taps *taps, const struct tap_told *told);

/* What one has answered; "" where it does not say. */
const char *tap_says(const struct tap *tap, const char *key);

#endif
