#include "client/sweep.h"

#include "base/err.h"
#include "base/own.h"
#include "proto/ring_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PLACES_MOST = 1 << 16 }; /* that are looked at: a program dies over those of a pass */

/* ---- what is in a ring ---- */

/* Whether a row was published in a place. Read, not mapped: who cuts the file ends no program. */
static int has_row(int fd, const struct ring_facts *f, uint64_t place)
{
    struct ring_record r;
    uint64_t at = f->header_bytes + (place & (f->records - 1)) * (uint64_t)f->record_bytes;
    if (pread(fd, &r, sizeof r, (off_t)at) != (ssize_t)sizeof r) return 1;
    return atomic_load(&r.turn) == place + 1 && !(r.flags & RING_ROW_NONE);
}

/* What it shed, and the stream was not told, is for a reader, too. */
static int is_wanted(int fd, const struct ring_header *h)
{
    uint64_t head = atomic_load(&h->host.head), tail = atomic_load(&h->reader.tail);
    if (!ring_shed_is_told(h) || head - tail > h->facts.records || head - tail > PLACES_MOST)
        return 1;
    for (; tail < head; tail++)
        if (has_row(fd, &h->facts, tail)) return 1;
    return 0;
}

static int read_header(int fd, struct ring_header *h)
{
    struct stat st;
    return fstat(fd, &st) == 0 && pread(fd, h, sizeof *h, 0) == (ssize_t)sizeof *h &&
           ring_check(&h->facts, (uint64_t)st.st_size) == ERR_OK;
}

/* ---- one file ---- */

/* What it did last is read once it is over. */
static int is_left_ring(int fd)
{
    struct ring_header *h = aligned_alloc(RING_PAGE_BYTES, sizeof *h);
    int is_left = h && read_header(fd, h) && ring_is_over(fd, &h->facts, h) && read_header(fd, h) &&
                  !is_wanted(fd, h);
    free(h);
    return is_left;
}

static void look_at(const char *folder, const char *name)
{
    char path[2048];
    int fd;
    enum ring_file_kind kind = ring_file_kind(name);
    if (kind == RING_FILE_OTHER) return;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return;
    if (own_open(path, O_RDWR, &fd) != ERR_OK) return;
    if (kind == RING_FILE_WHOLE ? is_left_ring(fd) : ring_file_is_left(fd, time(NULL)))
        unlink(path);
    close(fd);
}

/* Of this process, as its name says: whoever closes a file of its own loses its lock on it. */
static int is_mine(const char *name)
{
    char mine[32];
    int n = snprintf(mine, sizeof mine, "%u-", (unsigned)getpid());
    return strncmp(name, mine, (size_t)n) == 0;
}

void sweep(const char *folder)
{
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (!is_mine(entry->d_name)) look_at(folder, entry->d_name);
    if (dir) closedir(dir);
}
