/* The other end of a ring, as plain as can be: maps the newest one of a folder and takes rows. */
#ifndef SLUICE_TESTS_CLIENT_RING_READER_H
#define SLUICE_TESTS_CLIENT_RING_READER_H

#include "base/clock.h"
#include "proto/ring_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct ring_view {
    struct ring_header *ring;
    uint64_t bytes;
    char path[2048];
};

static inline int view_open(const char *folder, struct ring_view *v)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    struct stat st;
    v->path[0] = '\0';
    while (dir && (entry = readdir(dir))) {
        size_t n = strlen(entry->d_name);
        if (n > 5 && strcmp(entry->d_name + n - 5, RING_SUFFIX) == 0)
            snprintf(v->path, sizeof v->path, "%s/%s", folder, entry->d_name);
    }
    if (dir) closedir(dir);
    int fd = open(v->path, O_RDWR);
    if (fd < 0 || fstat(fd, &st) != 0) return -1;
    v->bytes = (uint64_t)st.st_size;
    v->ring = mmap(NULL, v->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return v->ring == MAP_FAILED ? -1 : 0;
}

static inline void view_close(struct ring_view *v)
{
    munmap(v->ring, v->bytes);
    unlink(v->path);
}

static inline void view_seen(struct ring_view *v)
{
    atomic_store(&v->ring->reader.seen_ns, clock_ns(CLOCK_REALTIME));
}

static inline struct ring_record *view_at(struct ring_view *v, uint64_t place)
{
    const struct ring_facts *f = &v->ring->facts;
    return (struct ring_record *)((uint8_t *)v->ring + f->header_bytes +
                                  (place & (f->records - 1)) * f->record_bytes);
}

/* The next record, if it is published: 1. It stays where it is until view_done(). */
static inline struct ring_record *view_next(struct ring_view *v)
{
    uint64_t tail = atomic_load(&v->ring->reader.tail);
    struct ring_record *r = view_at(v, tail);
    return atomic_load(&r->turn) == tail + 1 ? r : NULL;
}

static inline void view_done(struct ring_view *v)
{
    atomic_fetch_add(&v->ring->reader.tail, 1);
}

#endif
