/*
 * Who may connect over TCP: CURVE keys, and the broker's list of those that it lets in.
 *
 * A folder of keys (broker.keys) holds, as `sluice keygen` makes it:
 *
 *     broker.key    the broker's pair; on its host alone (0600)
 *     broker.pub    the broker's public key; on every host
 *     client.key    the pair of this host's other processes (0600)
 *     allow         on the broker's host: NAME ROLES PUBLIC, a line for each client
 *
 * A key is 40 characters of ZeroMQ's Z85. Files are read without following links, must belong to
 * this user, and a secret one must be closed to others. Secrets never reach a log or an error text.
 */
#ifndef SLUICE_RUNTIME_KEYS_H
#define SLUICE_RUNTIME_KEYS_H

#include <stddef.h>
#include <stdint.h>

enum { KEYS_TEXT_BYTES = 41, KEYS_MAX_CLIENTS = 256, KEYS_NAME_BYTES = 64 };

#define KEYS_BROKER        "broker.key"
#define KEYS_BROKER_PUBLIC "broker.pub"
#define KEYS_CLIENT        "client.key"
#define KEYS_ALLOW         "allow"

enum keys_role {                   /* what a client may say */
                 KEYS_PRODUCE = 1, /* front: HELLO, DESCRIBE, frames, END, PING, BYE */
                 KEYS_SINK = 2,    /* back: everything but REPORT */
                 KEYS_REPORT = 4,  /* REPORT */
                 KEYS_STATUS = 8,  /* ASK */
                 KEYS_ALL = 15,
};

struct keys_pair {
    char public_key[KEYS_TEXT_BYTES], secret[KEYS_TEXT_BYTES];
};

/* A new pair. ERR_STATE: this libzmq has no CURVE. */
int keys_make(struct keys_pair *pair);
/* Write a pair (0600), or a public key, as a new file; what is there is never replaced: ERR_EXISTS.
 * `name` is for people. ERR_IO, ERR_NOSPC. */
int keys_write_pair(const char *path, const char *name, const struct keys_pair *pair);
int keys_write_public(const char *path, const char *name, const char *public_key);
/* Read them. ERR_NOTFOUND, ERR_FORMAT (not such a file, or the two keys are no pair), ERR_USAGE
 * (another user's, or others may read the secret), ERR_IO. */
int keys_read_pair(const char *path, struct keys_pair *pair);
int keys_read_public(const char *path, char out[KEYS_TEXT_BYTES]);

/* "produce,report" to roles. ERR_USAGE. */
int keys_roles_parse(const char *text, uint32_t *roles);
/* The reverse, into out[64]. */
void keys_roles_text(uint32_t roles, char *out);

/* The allow-list. Comments begin with #. */
struct keys_allow;
/* ERR_NOTFOUND, ERR_FORMAT (file, line and what is wrong with it), ERR_LIMIT, ERR_USAGE (others may
 * write it), ERR_IO, ERR_NOMEM. */
int keys_allow_open(const char *path, struct keys_allow **allow);
void keys_allow_close(struct keys_allow *allow);
/* Read it again where it has changed (a stat each call): 1: it has, and holds from now on; 0: it
 * has not. An error as above: the list of before holds on, and this is told once per change. */
int keys_allow_refresh(struct keys_allow *allow, int *code);
uint32_t keys_allow_count(const struct keys_allow *allow);
/* Roles of the client with this public key; 0: it is not in the list. *name: its name, "" without;
 * valid until the next refresh. `name` may be NULL. */
uint32_t keys_allow_roles(const struct keys_allow *allow, const char *public_key,
                          const char **name);
/* Add a client at the end of the list, which is made (0600) where there is none. ERR_EXISTS: the
 * name or the key is in it already. ERR_LIMIT: there are as many as may be. Errors as above. */
int keys_allow_add(const char *path, const char *name, uint32_t roles, const char *public_key);

#endif
