/* Remove a folder and all in it. Missing is fine. 0, or -1 with errno. Follows no link. */
#ifndef SLUICE_TESTS_DIR_REMOVE_H
#define SLUICE_TESTS_DIR_REMOVE_H

#include <errno.h>
#include <ftw.h>
#include <stdio.h>

static int dir_remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int dir_remove(const char *path)
{
    return nftw(path, dir_remove_entry, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT ? -1 : 0;
}

#endif
