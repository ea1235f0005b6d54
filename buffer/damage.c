#include "buffer/damage.h"

#include "base/err.h"
#include "base/fileio.h"
#include "base/own.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WHY_BYTES = 600, FINDER_BYTES = 128, REPORT_BYTES = 1024 };

struct report {
    uint64_t inode, run;
    char finder[FINDER_BYTES], why[WHY_BYTES];
};

static int path_of(const char *dir, char path[PATH_MAX])
{
    if (snprintf(path, PATH_MAX, "%s/damage", dir) < PATH_MAX) return ERR_OK;
    return err_set(ERR_IO, "path too long: %s", dir);
}

uint64_t damage_inode(const char *dir)
{
    char path[PATH_MAX];
    struct stat st;
    if (snprintf(path, sizeof path, "%s/data.mdb", dir) >= (int)sizeof path) return 0;
    return lstat(path, &st) == 0 ? st.st_ino : 0;
}

int damage_report(const char *dir, uint64_t inode, uint64_t run, const char *finder,
                  const char *why)
{
    char path[PATH_MAX], text[REPORT_BYTES];
    if (damage_inode(dir) != inode) return ERR_OK;
    int result = path_of(dir, path);
    if (result != ERR_OK) return result;
    int length = snprintf(text, sizeof text,
                          "inode %" PRIu64 "\nrun %016" PRIx64 "\nfinder %.*s\nwhy %.*s\n", inode,
                          run, FINDER_BYTES - 1, finder, WHY_BYTES - 1, why);
    return file_replace(path, text, (size_t)length);
}

static int parse(const char *text, struct report *r)
{
    return sscanf(text, "inode %" SCNu64 " run %" SCNx64 " finder %127[^\n] why %599[^\n]",
                  &r->inode, &r->run, r->finder, r->why) == 4;
}

int damage_check(const char *dir, uint64_t run)
{
    char path[PATH_MAX], *text;
    size_t bytes;
    struct report r;
    if (path_of(dir, path) != ERR_OK || own_read(path, REPORT_BYTES, &text, &bytes) != ERR_OK)
        return ERR_OK;
    int is_meant = parse(text, &r) && r.inode != 0 && r.inode == damage_inode(dir) &&
                   (r.run == 0 || run == 0 || r.run == run);
    free(text);
    if (!is_meant) return ERR_OK;
    return err_set(ERR_CORRUPT, "%s, as %s found", r.why, r.finder);
}

void damage_forget(const char *dir)
{
    char path[PATH_MAX];
    if (path_of(dir, path) == ERR_OK) unlink(path);
}
