#include "runtime/peer.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAME_BYTES = 48, LINE_BYTES = 512 };

/* An end of a connection as the kernel's tables write it: four-byte words in this machine's order. */
struct end {
    char four[NAME_BYTES]; /* in /proc/net/tcp; "": it is of IPv6 */
    char six[NAME_BYTES];  /* in /proc/net/tcp6, where an address of IPv4 is mapped */
};

static void name_six(const struct in6_addr *address, in_port_t port, char *out)
{
    uint32_t word[4];
    memcpy(word, address, sizeof word);
    snprintf(out, NAME_BYTES, "%08X%08X%08X%08X:%04X", word[0], word[1], word[2], word[3],
             ntohs(port));
}

static void name(const struct sockaddr_storage *address, struct end *end)
{
    *end = (struct end){0};
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
        name_six(&six->sin6_addr, six->sin6_port, end->six);
        return;
    }
    const struct sockaddr_in *four = (const struct sockaddr_in *)address;
    struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(mapped.s6_addr + 12, &four->sin_addr, 4);
    name_six(&mapped, four->sin_port, end->six);
    snprintf(end->four, sizeof end->four, "%08X:%04X", four->sin_addr.s_addr,
             ntohs(four->sin_port));
}

/* The user of the socket of such ends, in a table. ERR_NOTFOUND: it has none. A socket that its program
 * has closed lives on for a while, without an inode and as root's. */
static int find(const char *table, const char *local, const char *remote, unsigned *uid)
{
    FILE *in = fopen(table, "re");
    char line[LINE_BYTES], here[NAME_BYTES], there[NAME_BYTES];
    unsigned long long inode;
    int result = ERR_NOTFOUND;
    if (!in) return errno == ENOENT ? ERR_NOTFOUND : err_set(ERR_IO, "cannot read %s", table);
    while (result != ERR_OK && fgets(line, sizeof line, in))
        if (sscanf(line, " %*[^:]: %47s %47s %*s %*s %*s %*s %u %*s %llu", here, there, uid,
                   &inode) == 4 &&
            inode != 0 && strcmp(here, local) == 0 && strcmp(there, remote) == 0)
            result = ERR_OK;
    fclose(in);
    return result;
}

int peer_is_ours(int fd)
{
    struct sockaddr_storage ours, theirs;
    socklen_t ours_bytes = sizeof ours, theirs_bytes = sizeof theirs;
    struct end here, there;
    unsigned uid = 0;
    if (getsockname(fd, (struct sockaddr *)&ours, &ours_bytes) != 0 ||
        getpeername(fd, (struct sockaddr *)&theirs, &theirs_bytes) != 0)
        return err_set(ERR_MISMATCH, "the program that asks is gone");
    name(&ours, &here);
    name(&theirs, &there);
    int result = ERR_NOTFOUND;
    if (here.four[0]) result = find("/proc/net/tcp", there.four, here.four, &uid);
    if (result == ERR_NOTFOUND) result = find("/proc/net/tcp6", there.six, here.six, &uid);
    if (result == ERR_NOTFOUND) return err_set(ERR_MISMATCH, "the program that asks is gone");
    if (result != ERR_OK || uid == getuid() || uid == 0) return result;
    return err_set(ERR_MISMATCH, "the program that asks is of another user (uid %u)", uid);
}
