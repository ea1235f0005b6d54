#include "engine/path_list.h"

#include "base/err.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEEPEST = 64 }; /* folders below one another that ** goes down to */

static int add(struct path_list *l, const char *path)
{
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 16;
        char **larger = realloc(l->path, room * sizeof *larger);
        if (!larger) return err_set(ERR_NOMEM, "no memory for a list of files");
        l->path = larger;
        l->room = room;
    }
    l->path[l->count] = strdup(path);
    if (!l->path[l->count]) return err_set(ERR_NOMEM, "no memory for a list of files");
    l->count++;
    return ERR_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_from(struct path_list *l, size_t first)
{
    if (l->count - first > 1) qsort(l->path + first, l->count - first, sizeof *l->path, by_bytes);
}

static int ends_in_one_of(const char *name, const char *const *endings)
{
    size_t length = strlen(name);
    for (; *endings; endings++) {
        size_t tail = strlen(*endings);
        if (length > tail && strcmp(name + length - tail, *endings) == 0) return 1;
    }
    return 0;
}

static int join(char *out, const char *folder, const char *name)
{
    const char *slash = folder[0] && folder[strlen(folder) - 1] != '/' ? "/" : "";
    if (snprintf(out, PATH_MAX, "%s%s%s", folder, slash, name) < PATH_MAX) return ERR_OK;
    return err_set(ERR_LIMIT, "a path of more than %d bytes below %.200s", PATH_MAX, folder);
}

static int cannot_read(const struct path_list *l, const char *path, int error)
{
    return err_set(err_of_file(error),
                   "%s: %s: %s; HINT: a link to nothing (git lfs or annex?) "
                   "and a folder without permission hide files that are meant",
                   l->key, path, strerror(error));
}

/* ---- folders ---- */

static int add_entry(struct path_list *l, const char *folder, const char *name,
                     const char *const *endings)
{
    char path[PATH_MAX];
    struct stat st;
    if (name[0] == '.') return ERR_OK;
    int result = join(path, folder, name);
    if (result != ERR_OK) return result;
    int is_there = stat(path, &st) == 0, meant = ends_in_one_of(name, endings);
    if (!is_there && meant) return cannot_read(l, path, errno);
    if (is_there && S_ISDIR(st.st_mode)) return ERR_OK;
    if (meant) return add(l, path);
    l->left_out++;
    return ERR_OK;
}

static int add_folder(struct path_list *l, const char *folder, const char *const *endings,
                      const char *key)
{
    size_t first = l->count;
    int result = ERR_OK;
    DIR *dir = opendir(folder);
    if (!dir)
        return err_set(ERR_IO, "%s: cannot read the folder %s: %s", key, folder, strerror(errno));
    for (struct dirent *entry; result == ERR_OK && (entry = readdir(dir));)
        result = add_entry(l, folder, entry->d_name, endings);
    closedir(dir);
    if (result != ERR_OK) return result;
    sort_from(l, first);
    if (l->count > first) return ERR_OK;
    return err_set(ERR_USAGE, "%s: the folder %s has no file whose name ends in %s%s%s%s%s", key,
                   folder, endings[0], endings[1] ? " or " : "", endings[1] ? endings[1] : "",
                   endings[1] && endings[2] ? " or " : "",
                   endings[1] && endings[2] ? endings[2] : "");
}

/* ---- patterns ---- */

static int expand(struct path_list *l, const char *pattern, int depth);

/* What glob() could not read; its errno does not last. */
static _Thread_local struct {
    int error;
    char path[PATH_MAX];
} unread;

/* A folder that is not there matches nothing; one that cannot be read may hold what is missed. */
static int is_fatal(const char *path, int error)
{
    unread.error = error;
    snprintf(unread.path, sizeof unread.path, "%s", path);
    return error != ENOENT && error != ENOTDIR;
}

static int find_matches(const struct path_list *l, const char *pattern, int flags, glob_t *found)
{
    int status = glob(pattern, GLOB_NOSORT | flags, is_fatal, found);
    if (status == GLOB_NOSPACE) return err_set(ERR_NOMEM, "no memory for the files of %s", pattern);
    return status == GLOB_ABORTED ? cannot_read(l, unread.path, unread.error) : ERR_OK;
}

/* glob() for what has no **; folders that it matches are passed over. */
static int add_matches(struct path_list *l, const char *pattern)
{
    glob_t found = {0};
    struct stat st;
    int result = find_matches(l, pattern, 0, &found);
    for (size_t i = 0; result == ERR_OK && i < found.gl_pathc; i++) {
        if (stat(found.gl_pathv[i], &st) != 0)
            result = cannot_read(l, found.gl_pathv[i], errno);
        else if (!S_ISDIR(st.st_mode))
            result = add(l, found.gl_pathv[i]);
    }
    globfree(&found);
    return result;
}

/* `rest`, a pattern, in `folder`, whose characters stand for themselves. */
static int expand_in(struct path_list *l, const char *folder, const char *rest, int depth)
{
    char path[PATH_MAX], plain[2 * PATH_MAX], *out = plain;
    for (; *folder; folder++) {
        if (strchr("*?[]{},~\\", *folder)) *out++ = '\\';
        *out++ = *folder;
    }
    *out = '\0';
    int result = join(path, plain, rest);
    return result == ERR_OK ? expand(l, path, depth) : result;
}

static int descend(struct path_list *l, const char *folder, const char *rest, int depth);

static int descend_to(struct path_list *l, const char *path, const char *rest, int depth)
{
    struct stat st;
    if (lstat(path, &st) != 0) return errno == ENOENT ? ERR_OK : cannot_read(l, path, errno);
    if (!S_ISDIR(st.st_mode)) return ERR_OK;
    if (depth < DEEPEST) return descend(l, path, rest, depth + 1);
    return err_set(ERR_LIMIT, "%s: %.200s... lies more than %d folders deep", l->key, path,
                   DEEPEST);
}

/* The same in all folders below it, too. */
static int descend(struct path_list *l, const char *folder, const char *rest, int depth)
{
    char path[PATH_MAX];
    int result = expand_in(l, folder, rest, depth + 1);
    if (result != ERR_OK) return result;
    DIR *dir = opendir(folder[0] ? folder : ".");
    if (!dir) return cannot_read(l, folder, errno);
    for (struct dirent *entry; result == ERR_OK && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        result = join(path, folder, entry->d_name);
        if (result == ERR_OK) result = descend_to(l, path, rest, depth);
    }
    closedir(dir);
    return result;
}

/* The folders that the part before a ** matches, one after the other. */
static int descend_all(struct path_list *l, const char *front, const char *rest, int depth)
{
    glob_t found = {0};
    struct stat st;
    if (!front[0]) return descend(l, "", rest, depth);
    int result = find_matches(l, front, GLOB_ONLYDIR, &found);
    for (size_t i = 0; result == ERR_OK && i < found.gl_pathc; i++)
        if (stat(found.gl_pathv[i], &st) == 0 && S_ISDIR(st.st_mode))
            result = descend(l, found.gl_pathv[i], rest, depth);
    globfree(&found);
    return result;
}

/* A part of the path that is ** and nothing else. */
static const char *double_star(const char *pattern)
{
    for (const char *at = pattern; (at = strstr(at, "**")); at += 2)
        if ((at == pattern || at[-1] == '/') && (at[2] == '/' || at[2] == '\0')) return at;
    return NULL;
}

/* The end of a part of {a,b}: a comma or the bracket that closes it; NULL: it is never closed. */
static const char *end_of_part(const char *at)
{
    for (int depth = 0; *at; at++) {
        if (*at == '\\' && at[1])
            at++;
        else if (depth == 0 && (*at == ',' || *at == '}'))
            return at;
        else
            depth += (*at == '{') - (*at == '}');
    }
    return NULL;
}

/* The bracket that begins {a,b}, and the one that ends it; NULL: there is none. */
static const char *find_braces(const char *pattern, const char **close)
{
    for (const char *at = pattern; *at; at++) {
        if (*at == '\\' && at[1]) {
            at++;
            continue;
        }
        if (*at != '{') continue;
        const char *end = end_of_part(at + 1);
        int parts = 1;
        for (; end && *end == ','; parts++) end = end_of_part(end + 1);
        *close = end;
        if (end && parts > 1) return at;
    }
    return NULL;
}

/* The pattern once with each part. */
static int expand_braces(struct path_list *l, const char *pattern, const char *open,
                         const char *close, int depth)
{
    char one[PATH_MAX];
    int result = ERR_OK;
    if (depth > DEEPEST) return err_set(ERR_LIMIT, "too many brackets in %.200s", pattern);
    for (const char *part = open + 1; part <= close && result == ERR_OK;) {
        const char *end = end_of_part(part);
        int n = snprintf(one, sizeof one, "%.*s%.*s%s", (int)(open - pattern), pattern,
                         (int)(end - part), part, close + 1);
        if (n >= (int)sizeof one) return err_set(ERR_LIMIT, "a pattern of %d bytes", n);
        result = expand(l, one, depth + 1);
        part = end + 1;
    }
    return result;
}

static int expand(struct path_list *l, const char *pattern, int depth)
{
    char front[PATH_MAX];
    const char *close, *open = find_braces(pattern, &close);
    if (open) return expand_braces(l, pattern, open, close, depth);
    const char *star = double_star(pattern);
    if (!star) return add_matches(l, pattern);
    size_t length = (size_t)(star - pattern);
    if (length >= sizeof front) return err_set(ERR_LIMIT, "a pattern of %zu bytes", length);
    memcpy(front, pattern, length);
    front[length] = '\0';
    const char *rest = star + 2;
    while (*rest == '/') rest++;
    return descend_all(l, front, *rest ? rest : "*", depth);
}

/* Patterns with several ** reach a file in several ways. */
static void remove_equals(struct path_list *l, size_t first)
{
    size_t kept = first;
    for (size_t i = first; i < l->count; i++) {
        if (kept > first && strcmp(l->path[kept - 1], l->path[i]) == 0)
            free(l->path[i]);
        else
            l->path[kept++] = l->path[i];
    }
    l->count = kept;
}

int path_list_add(struct path_list *l, const char *text, const char *const *endings,
                  const char *key)
{
    struct stat st;
    size_t first = l->count;
    l->key = key;
    if (stat(text, &st) == 0)
        return S_ISDIR(st.st_mode) ? add_folder(l, text, endings, key) : add(l, text);
    int error = errno;
    if (!strpbrk(text, "*?[{"))
        return err_set(error == ENOENT || error == ENOTDIR ? ERR_NOTFOUND : ERR_IO, "%s: %s: %s",
                       key, text, strerror(error));
    int result = expand(l, text, 0);
    if (result != ERR_OK) return result;
    sort_from(l, first);
    remove_equals(l, first);
    if (l->count > first) return ERR_OK;
    return err_set(ERR_USAGE, "%s: no file matches %s", key, text);
}

struct identity {
    dev_t device;
    ino_t inode;
    const char *path;
};

static int by_identity(const void *a, const void *b)
{
    const struct identity *x = a, *y = b;
    if (x->device != y->device) return x->device < y->device ? -1 : 1;
    return x->inode < y->inode ? -1 : x->inode > y->inode;
}

int path_list_check(const struct path_list *l, const char *key)
{
    struct stat st;
    size_t known = 0;
    struct identity *all = calloc(l->count + 1, sizeof *all);
    if (!all) return err_set(ERR_NOMEM, "no memory for a list of files");
    for (size_t i = 0; i < l->count; i++)
        if (stat(l->path[i], &st) == 0)
            all[known++] = (struct identity){st.st_dev, st.st_ino, l->path[i]};
    if (known > 1) qsort(all, known, sizeof *all, by_identity);
    int result = ERR_OK;
    for (size_t i = 1; i < known && result == ERR_OK; i++)
        if (by_identity(&all[i - 1], &all[i]) == 0)
            result = err_set(ERR_USAGE, "%s: %s and %s are one file, which would be read twice",
                             key, all[i - 1].path, all[i].path);
    free(all);
    return result;
}

void path_list_free(struct path_list *l)
{
    for (size_t i = 0; i < l->count; i++) free(l->path[i]);
    free(l->path);
    *l = (struct path_list){0};
}
