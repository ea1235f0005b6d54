/* Who is at the other end of a TCP connection on this machine. */
#ifndef SLUICE_RUNTIME_PEER_H
#define SLUICE_RUNTIME_PEER_H

/* Whether the program at the other end of a connected socket runs as this process's user, or as root:
 * by the kernel's table of sockets (/proc/net/tcp, tcp6). ERR_MISMATCH: it is another user's, or it
 * has closed its end; ERR_IO: the table cannot be read. Reads that table. */
int peer_is_ours(int fd);

#endif
