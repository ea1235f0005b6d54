#include "engine/corpus_files.h"

#include "base/err.h"
#include "engine/corpus_names.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_FOLDERS_DEEP = 64 };

/* ---- single files ---- */

static int same_twice(const char *path, const char *before)
{
    if (strcmp(path, before) == 0)
        return err_set(ERR_USAGE,
                       "corpus: %s is listed twice; HINT: list it once; trainer.reuse trains on "
                       "each row several times",
                       path);
    return err_set(ERR_USAGE,
                   "corpus: %s and %s are the same file; HINT: list it once (patterns may overlap, "
                   "links may lead to it); trainer.reuse trains on each row several times",
                   before, path);
}

static int append(struct corpus_files *files, const char *path, const struct stat *st)
{
    if (files->count == files->room) {
        size_t room = files->room ? 2 * files->room : 16;
        struct corpus_file *larger = realloc(files->items, room * sizeof *larger);
        if (!larger) return err_set(ERR_NOMEM, "no memory for the list of corpus files");
        files->items = larger;
        files->room = room;
    }
    char *copy = strdup(path);
    if (!copy) return err_set(ERR_NOMEM, "no memory for the list of corpus files");
    files->items[files->count++] = (struct corpus_file){.path = copy,
                                                        .pipe = !st || !S_ISREG(st->st_mode),
                                                        .device = st ? st->st_dev : 0,
                                                        .inode = st ? st->st_ino : 0};
    return ERR_OK;
}

static int add_file(struct corpus_files *files, const char *path)
{
    struct stat st;
    if (strcmp(path, "-") == 0) return append(files, path, NULL);
    if (stat(path, &st) != 0)
        return err_set(err_of_file(errno), "corpus file %s: %s; HINT: see capture.corpus", path,
                       strerror(errno));
    if (access(path, R_OK) != 0)
        return err_set(ERR_IO, "corpus file %s cannot be read: %s", path, strerror(errno));
    return append(files, path, &st);
}

/* ---- walking ---- */

/* What one entry of the list finds, before it is known which of it is taken. */
struct finding {
    char **paths;
    size_t count, room;
    const char *pattern; /* that paths below its base must match; NULL: all do */
    size_t base;
};

static int keep(struct finding *f, const char *path)
{
    if (f->count == f->room) {
        size_t room = f->room ? 2 * f->room : 64;
        char **larger = realloc(f->paths, room * sizeof *larger);
        if (!larger) return err_set(ERR_NOMEM, "no memory for the list of corpus files");
        f->paths = larger;
        f->room = room;
    }
    f->paths[f->count] = strdup(path);
    if (!f->paths[f->count]) return err_set(ERR_NOMEM, "no memory for the list of corpus files");
    f->count++;
    return ERR_OK;
}

/* Folders from the first down to where the walk is, so that a link back up is known. */
struct above {
    const struct above *next;
    dev_t device;
    ino_t inode;
    int depth;
};

static int is_loop(const struct above *above, const struct stat *st)
{
    for (; above; above = above->next)
        if (above->device == st->st_dev && above->inode == st->st_ino) return 1;
    return 0;
}

/* Whether the pattern names this hidden folder: a name of it has the dot, too. */
static int names_hidden(const struct finding *f, const char *name)
{
    char part[NAME_MAX + 1];
    for (const char *at = f->pattern ? f->pattern + f->base : ""; *at;) {
        size_t n = strcspn(at, "/");
        if (*at == '.' && n < sizeof part) {
            snprintf(part, sizeof part, "%.*s", (int)n, at);
            if (fnmatch(part, name, FNM_PERIOD) == 0) return 1;
        }
        at += n + (at[n] == '/');
    }
    return 0;
}

static int walk(struct finding *f, const char *folder, const struct above *above);

static int visit(struct finding *f, const char *folder, const char *name, const struct above *above)
{
    char path[PATH_MAX];
    struct stat st;
    size_t n = strlen(folder);
    const char *slash = n > 0 && folder[n - 1] != '/' ? "/" : "";
    if (snprintf(path, sizeof path, "%s%s%s", folder, slash, name) >= (int)sizeof path)
        return err_set(ERR_LIMIT, "path too long: %.80s...", path);
    int matches = !f->pattern || corpus_names_match(f->pattern + f->base, path + f->base);
    if (stat(path, &st) != 0) {
        if (errno != ENOENT && errno != ELOOP)
            return err_set(err_of_file(errno), "corpus: %s: %s", path, strerror(errno));
        return matches ? keep(f, path) : ERR_OK; /* a link to nothing is told when it is added */
    }
    if (S_ISDIR(st.st_mode)) {
        if ((name[0] == '.' && !names_hidden(f, name)) || is_loop(above, &st)) return ERR_OK;
        if (above->depth == MOST_FOLDERS_DEEP)
            return err_set(ERR_LIMIT, "corpus: %s lies more than %d folders deep", path,
                           MOST_FOLDERS_DEEP);
        struct above here = {above, st.st_dev, st.st_ino, above->depth + 1};
        return walk(f, path, &here);
    }
    return matches ? keep(f, path) : ERR_OK;
}

static int not_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int walk(struct finding *f, const char *folder, const struct above *above)
{
    struct dirent **entries;
    int count = scandir(folder[0] ? folder : ".", &entries, not_dots, NULL), result = ERR_OK;
    if (count < 0)
        return err_set(ERR_IO, "corpus: cannot read the folder %s: %s", folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        if (result == ERR_OK) result = visit(f, folder, entries[i]->d_name, above);
        free(entries[i]);
    }
    free(entries);
    return result;
}

static int walk_from(struct finding *f, const char *folder)
{
    struct stat st;
    if (stat(folder[0] ? folder : ".", &st) != 0 || !S_ISDIR(st.st_mode)) return ERR_OK;
    struct above top = {NULL, st.st_dev, st.st_ino, 0};
    return walk(f, folder, &top);
}

/* ---- patterns ---- */

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

/* One pattern without braces. Folders that it matches are passed over: a star means files. */
static int find_matches(void *arg, const char *pattern)
{
    struct finding *f = arg;
    if (strstr(pattern, "**")) {
        char base[PATH_MAX];
        f->pattern = pattern;
        f->base = corpus_names_base(pattern);
        snprintf(base, sizeof base, "%.*s", (int)f->base, pattern);
        return walk_from(f, base);
    }
    glob_t found = {0};
    int status = glob(pattern, GLOB_NOSORT | GLOB_TILDE, is_fatal, &found), result = ERR_OK;
    if (status == GLOB_NOSPACE) result = err_set(ERR_NOMEM, "no memory for files of %s", pattern);
    if (status == GLOB_ABORTED)
        result = err_set(ERR_IO, "corpus: %s, a folder of %s, cannot be read: %s", unread.path,
                         pattern, strerror(unread.error));
    for (size_t i = 0; status == 0 && i < found.gl_pathc && result == ERR_OK; i++) {
        struct stat st;
        if (stat(found.gl_pathv[i], &st) == 0 && S_ISDIR(st.st_mode)) continue;
        result = keep(f, found.gl_pathv[i]);
    }
    globfree(&found);
    return result;
}

static int is_pattern(const char *text)
{
    return strpbrk(text, "*?[{~") != NULL && access(text, F_OK) != 0;
}

/* ---- what is taken of it ---- */

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Tell of what was left out of one entry, behind what was told before. */
static void tell(struct corpus_files *files, const char *listed, size_t taken, char *const *left,
                 size_t count)
{
    enum { KEPT = 96 }; /* for "and N more" */
    size_t used = files->told, named = 0, room = sizeof files->note - KEPT;
    if (count == 0) return;
    if (files->untold > 0 || used + strlen(listed) + 64 > room) {
        snprintf(files->note + used, KEPT, "%sand %zu more left files out", used ? "; " : "",
                 ++files->untold);
        return;
    }
    used += (size_t)snprintf(files->note + used, room - used,
                             "%s%s: %zu files taken; left out: ", used ? "; " : "", listed, taken);
    for (; named < count && named < 4; named++) {
        const char *name = last_name(left[named]);
        if (used + strlen(name) + 32 > room) break;
        used += (size_t)snprintf(files->note + used, room - used, "%s%s", named ? ", " : "", name);
    }
    if (named < count)
        used += (size_t)snprintf(files->note + used, KEPT / 2, "%s%zu more", named ? " and " : "",
                                 count - named);
    files->told = used;
}

/* Take the corpora of a folder (corpus_files.h says which they are); the paths left over go to the
 * front of the finding. */
static int take_corpora(struct corpus_files *files, const char *listed, struct finding *f)
{
    enum corpus_name worst = CORPUS_NAME_OTHER;
    size_t taken = 0, left = 0;
    for (size_t i = 0; i < f->count; i++)
        if (corpus_names_kind(last_name(f->paths[i])) == CORPUS_NAME_DATA) worst = CORPUS_NAME_DATA;
    for (size_t i = 0; i < f->count; i++) {
        char *path = f->paths[i];
        if (corpus_names_kind(last_name(path)) <= worst) {
            int result = add_file(files, path);
            if (result != ERR_OK) return result;
            taken++;
        } else {
            f->paths[i] = f->paths[left];
            f->paths[left++] = path;
        }
    }
    tell(files, listed, taken, f->paths, left);
    if (taken > 0) return ERR_OK;
    return err_set(ERR_USAGE,
                   "corpus: no file of %s is taken for a corpus (%zu were left out: %s...); HINT: "
                   "name files, or write a pattern that does, such as %s/*.txt",
                   listed, left, left ? last_name(f->paths[0]) : "", listed);
}

static int take_all(struct corpus_files *files, struct finding *f)
{
    int result = ERR_OK;
    for (size_t i = 0; i < f->count && result == ERR_OK; i++) {
        if (i > 0 && strcmp(f->paths[i], f->paths[i - 1]) == 0) continue; /* of two braces */
        result = add_file(files, f->paths[i]);
    }
    return result;
}

static int nothing_there(const char *listed, int folder)
{
    if (folder)
        return err_set(ERR_USAGE, "corpus: the folder %s holds no file; HINT: see capture.corpus",
                       listed);
    return err_set(ERR_USAGE,
                   "corpus: no file matches %s; HINT: patterns are resolved from the folder in "
                   "which the program was started",
                   listed);
}

static int add_listed(struct corpus_files *files, const char *listed)
{
    struct finding f = {0};
    struct stat st;
    int folder = stat(listed, &st) == 0 && S_ISDIR(st.st_mode), result;
    if (!folder && !is_pattern(listed)) return add_file(files, listed);
    if (folder)
        result = walk_from(&f, listed);
    else
        result = corpus_names_expand(listed, find_matches, &f);
    if (result == ERR_OK && f.count == 0) result = nothing_there(listed, folder);
    if (result == ERR_OK) {
        qsort(f.paths, f.count, sizeof *f.paths, by_bytes);
        result = folder || corpus_names_any(listed) ? take_corpora(files, listed, &f)
                                                    : take_all(files, &f);
    }
    for (size_t i = 0; i < f.count; i++) free(f.paths[i]);
    free(f.paths);
    return result;
}

/* ---- the whole list ---- */

static int by_inode(const void *a, const void *b)
{
    const struct corpus_file *x = *(struct corpus_file *const *)a,
                             *y = *(struct corpus_file *const *)b;
    if (x->device != y->device) return x->device < y->device ? -1 : 1;
    if (x->inode != y->inode) return x->inode < y->inode ? -1 : 1;
    return x < y ? -1 : 1;
}

static int check_twice(const struct corpus_files *files)
{
    const struct corpus_file **sorted = malloc((files->count + 1) * sizeof *sorted);
    int result = ERR_OK;
    if (!sorted) return err_set(ERR_NOMEM, "no memory for the list of corpus files");
    for (size_t i = 0; i < files->count; i++) sorted[i] = &files->items[i];
    qsort(sorted, files->count, sizeof *sorted, by_inode);
    for (size_t i = 1; i < files->count && result == ERR_OK; i++)
        if (sorted[i]->device == sorted[i - 1]->device && sorted[i]->inode == sorted[i - 1]->inode)
            result = same_twice(sorted[i]->path, sorted[i - 1]->path);
    free(sorted);
    return result;
}

int corpus_files_find(struct corpus_files *files, const char *const *listed, uint32_t count)
{
    if (count == 0)
        return err_set(ERR_USAGE, "no corpus is given; HINT: set capture.corpus to files, "
                                  "folders, patterns or \"-\" for standard input");
    int result = ERR_OK;
    for (uint32_t i = 0; i < count && result == ERR_OK; i++) result = add_listed(files, listed[i]);
    return result == ERR_OK ? check_twice(files) : result;
}

void corpus_files_free(struct corpus_files *files)
{
    for (size_t i = 0; i < files->count; i++) free(files->items[i].path);
    free(files->items);
}
