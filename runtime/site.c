#include "runtime/site.h"

#include "base/err.h"
#include "base/own.h"
#include "runtime/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOKS = 2 }; /* one may fall into the middle of what somebody does */

static int marker_path(const struct site *p, char path[PATH_MAX])
{
    if (snprintf(path, PATH_MAX, "%s/" FOLDER_MARKER, p->folder) < PATH_MAX) return ERR_OK;
    return err_set(ERR_LIMIT, "path too long: %.80s...", p->folder);
}

void site_init(struct site *p)
{
    *p = (struct site){.marker = -1};
}

int site_open(struct site *p, const struct config *config)
{
    char path[PATH_MAX];
    snprintf(p->folder, sizeof p->folder, "%s", config->run_dir);
    int result = marker_path(p, path);
    return result == ERR_OK ? own_open(path, O_RDONLY, &p->marker) : result;
}

void site_close(struct site *p)
{
    if (p->marker >= 0) close(p->marker);
    p->marker = -1;
}

/* NULL: all is well, or nobody can tell. */
static const char *what_happened(const struct site *p)
{
    char path[PATH_MAX];
    struct stat mine, there;
    if (p->marker < 0 || marker_path(p, path) != ERR_OK || fstat(p->marker, &mine) != 0)
        return NULL;
    if (lstat(path, &there) != 0)
        return errno == ENOENT || errno == ENOTDIR ? "was removed or moved" : NULL;
    return there.st_dev == mine.st_dev && there.st_ino == mine.st_ino ? NULL
                                                                      : "was replaced by another";
}

static int gone(const struct site *p, const char *what)
{
    return err_set(ERR_FORMAT,
                   "the run's folder %s %s while the run was at work in it (its " FOLDER_MARKER
                   " is gone): nothing more is written; HINT: put it back and run the same command "
                   "again, which goes on from the last checkpoint; without it the run begins anew",
                   p->folder, what);
}

int site_check(struct site *p)
{
    const char *what = what_happened(p);
    p->missed = what ? p->missed + 1 : 0;
    return p->missed >= LOOKS ? gone(p, what) : ERR_OK;
}

int site_check_now(struct site *p)
{
    const char *what = what_happened(p);
    return what ? gone(p, what) : ERR_OK;
}

int site_check_socket(struct site_socket *s)
{
    struct stat st;
    if (!s->path[0]) return ERR_OK;
    int there = lstat(s->path, &st) == 0;
    if (!there && errno != ENOENT && errno != ENOTDIR) return ERR_OK;
    if (there && !s->inode) {
        s->device = st.st_dev;
        s->inode = st.st_ino;
    }
    int same = there && s->device == st.st_dev && s->inode == st.st_ino;
    s->missed = same || !s->inode ? 0 : s->missed + 1;
    if (s->missed < LOOKS) return ERR_OK;
    return err_set(ERR_STATE,
                   "the socket %s was removed, so that nobody who comes new finds it; HINT: start "
                   "this process again, which `sluice up` does by itself",
                   s->path);
}
