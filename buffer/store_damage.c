/*
 * A buffer that cannot be trusted: looked at, reported, set aside.
 *
 * Holds: nothing is removed. What is set aside stays whole in a folder of its own; consumers'
 * states stay where they are, as what they still need is made again.
 */
#include "buffer/store_parts.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"
#include "buffer/damage.h"
#include "buffer/verify.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int store_check(struct store *s)
{
    int result = environment_in_place(s->dir, &s->files);
    return result == ERR_OK ? damage_check(s->dir, s->format.run) : result;
}

int store_report(const struct store *s, const char *finder, const char *why)
{
    return damage_report(s->dir, damage_inode(s->dir), s->format.run, finder, why);
}

static int lock_writer(const char *dir, int *lock)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/writer.lock", dir) >= (int)sizeof path)
        return err_set(ERR_IO, "path too long: %s", dir);
    return file_lock(path, lock);
}

static int make_folder(const char *dir, char path[PATH_MAX])
{
    int made = -1;
    for (int n = 1; n < 10000 && made != 0; n++) {
        if (snprintf(path, PATH_MAX, "%s.damaged-%d", dir, n) >= PATH_MAX)
            return err_set(ERR_IO, "path too long: %s", dir);
        made = mkdir(path, 0700);
        if (made != 0 && errno != EEXIST) break;
    }
    if (made == 0) return ERR_OK;
    return file_error("cannot create folder", path);
}

static int is_there(const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    return snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path &&
           lstat(path, &st) == 0;
}

/* With the writer's lock held. The lock table first: a new environment must never share that of
 * readers of the old one. */
static int move_files(const char *dir, char path[PATH_MAX])
{
    char from[PATH_MAX], to[PATH_MAX];
    static const char *const names[] = {"lock.mdb", "data.mdb", "boot", "damage"};
    int any = 0;
    for (int i = 0; i < 4; i++) any |= is_there(dir, names[i]);
    int result = any ? make_folder(dir, path) : ERR_OK;
    if (!any) path[0] = '\0';
    for (int i = 0; any && result == ERR_OK && i < 4; i++) {
        if (snprintf(from, sizeof from, "%s/%s", dir, names[i]) >= (int)sizeof from ||
            snprintf(to, sizeof to, "%s/%s", path, names[i]) >= (int)sizeof to)
            result = err_set(ERR_IO, "path too long: %s", dir);
        else if (rename(from, to) != 0 && errno != ENOENT)
            result = file_error("cannot move away", from);
    }
    return result;
}

int store_set_aside(const char *dir, char *out, size_t out_bytes)
{
    char path[PATH_MAX];
    int lock = -1;
    int result = own_make(dir, 1); /* all of it may be gone */
    if (result == ERR_OK) result = lock_writer(dir, &lock);
    if (result != ERR_OK) return result;
    result = move_files(dir, path);
    close(lock);
    if (result == ERR_OK && snprintf(out, out_bytes, "%s", path) >= (int)out_bytes)
        result = err_set(ERR_LIMIT, "the path %s is too long for its place", path);
    return result;
}

int store_verify(const char *dir, uint64_t *slabs, uint64_t *bad)
{
    int result = environment_boot_check(dir);
    if (result == ERR_OK) result = verify_in_child(dir, 1, slabs, bad);
    return result == ERR_OK && *bad == 0 ? damage_check(dir, 0) : result;
}

int store_repair(const char *dir, struct store_repair *repair)
{
    char path[PATH_MAX];
    int lock = -1;
    *repair = (struct store_repair){0};
    if (!damage_inode(dir)) return err_set(ERR_NOTFOUND, "there is no buffer in %s", dir);
    int result = lock_writer(dir, &lock);
    if (result != ERR_OK) return result;
    result = store_verify(dir, &repair->slabs, &repair->bad);
    if (result == ERR_OK && repair->bad > 0)
        result = err_set(ERR_CORRUPT, "%llu of %llu slabs do not match their checksums",
                         (unsigned long long)repair->bad, (unsigned long long)repair->slabs);
    if (result == ERR_CORRUPT) {
        snprintf(repair->why, sizeof repair->why, "%s", err_text());
        result = move_files(dir, path);
        repair->was_set_aside = result == ERR_OK;
        snprintf(repair->where, sizeof repair->where, "%s", path);
    }
    close(lock);
    return result;
}
