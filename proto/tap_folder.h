/*
 * Where tapped programs of this user can be talked to: a folder of sockets, PID-XXXXXXXX.sock, which is
 * this user's alone (0700). A number is one process's in its own container alone, and containers may share
 * the folder, hence the eight digits. It is the first of these that can be had: $XDG_RUNTIME_DIR/sluice/tap,
 * /run/user/UID/sluice/tap, /tmp/sluice-UID/tap. A program and who looks for it may have been started
 * with different environments, so that who looks goes through all of them. Where $SLUICE_TAPS names a
 * folder, it is that one alone.
 */
#ifndef SLUICE_PROTO_TAP_FOLDER_H
#define SLUICE_PROTO_TAP_FOLDER_H

#include <stddef.h>
#include <sys/un.h>

enum { TAP_FOLDERS = 3, TAP_NAME_BYTES = 24 };

#define TAP_SOCKET_SUFFIX ".sock"
#define TAP_TABLE         "steer-" /* and six letters: a table that is being handed over */
#define TAP_SOCKET_NEW    ".new"   /* bound, and not served yet */

/* The n-th folder, from 0, into out[bytes]. ERR_NOTFOUND: there is none (no such variable, or the same
 * as an earlier one); ERR_LIMIT: a socket in it would have too long a name. */
int tap_folder_path(unsigned n, char *out, size_t bytes);

/* Whether it is a folder of this user alone, and no link. ERR_NOTFOUND; ERR_USAGE: it is another
 * user's, or others may come in. */
int tap_folder_check(const char *folder);

/* Make the first folder that can be had, and the one above it. ERR_USAGE, and the text tells what was
 * wrong with the last. */
int tap_folder_make(char *out, size_t bytes);

/* A name for a socket of this process that no other one has: PID-XXXXXXXX. */
void tap_folder_name(char name[TAP_NAME_BYTES]);

/* The process that a file NAME SUFFIX is of, and NAME, whose digits a tap of an earlier version has not. 0:
 * it is none of ours. */
int tap_folder_process(const char *file, const char *suffix, char name[TAP_NAME_BYTES]);

/* The address of FOLDER/NAME SUFFIX. ERR_LIMIT. */
int tap_folder_address(const char *folder, const char *name, const char *suffix,
                       struct sockaddr_un *address);

#endif
