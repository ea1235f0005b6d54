/*
 * The right to serve a unix socket. A second bind would take the path away from a living process;
 * so a lock file beside the socket decides who may bind, and a socket whose lock nobody holds is
 * what a dead process left.
 */
#ifndef SLUICE_RUNTIME_CLAIM_H
#define SLUICE_RUNTIME_CLAIM_H

/* Claim the socket at `path`: its folder is made (0700), PATH.lock is taken, and what lies at the
 * path may be replaced. *lock: the descriptor of the lock, which the caller closes when it serves
 * no more (also after a failure, where it is not -1 any more: set it to -1 before). Children do not
 * inherit it.
 * ERR_EXISTS: somebody serves it (text: who). ERR_USAGE: the path is too long, others can enter the
 * folder, or something else than a socket lies there. ERR_IO: the disk fails. Blocks for no
 * longer than a local connect does. */
int claim_socket(const char *path, int *lock);

/* The folder of the socket at `path` is there, made (0700) where it was not, and no other user's,
 * nor open to others: so whoever serves or will serve the socket is of this user. For who connects:
 * in a folder such as /tmp somebody else may have made it first. ERR_USAGE, ERR_IO. */
int claim_folder(const char *path);

/* Whether claim_socket() would find a place for it, as far as that can be told without making
 * anything. ERR_USAGE as above, or no folder can be made there. */
int claim_check(const char *path);

#endif
