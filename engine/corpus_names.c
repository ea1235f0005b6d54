#include "engine/corpus_names.h"

#include "base/err.h"
#include "engine/documents.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MOST_PATTERNS = 4096 };

/* ---- matching ---- */

static size_t name_length(const char *path)
{
    return strcspn(path, "/");
}

static const char *behind(const char *path)
{
    path += name_length(path);
    return path + strspn(path, "/");
}

static int is_double_star(const char *pattern)
{
    return name_length(pattern) == 2 && memcmp(pattern, "**", 2) == 0;
}

static int name_matches(const char *pattern, const char *path)
{
    char one[NAME_MAX + 1], other[NAME_MAX + 1];
    if (name_length(pattern) > NAME_MAX || name_length(path) > NAME_MAX) return 0;
    snprintf(one, sizeof one, "%.*s", (int)name_length(pattern), pattern);
    snprintf(other, sizeof other, "%.*s", (int)name_length(path), path);
    return fnmatch(one, other, FNM_PERIOD) == 0;
}

/* Names of the path are tried against the last `**` that was passed, as wildcards usually are. */
int corpus_names_match(const char *pattern, const char *path)
{
    const char *star = NULL, *retry = NULL;
    while (*path) {
        if (is_double_star(pattern)) {
            star = behind(pattern);
            retry = path;
            pattern = star;
            if (!*pattern) return 1; /* at the end: any file below */
        } else if (*pattern && name_matches(pattern, path)) {
            pattern = behind(pattern);
            path = behind(path);
        } else if (star && retry[0] != '.') {
            path = retry = behind(retry);
            pattern = star;
        } else {
            return 0;
        }
    }
    return !*pattern;
}

size_t corpus_names_base(const char *pattern)
{
    size_t wild = strcspn(pattern, "*?["), base = 0;
    for (size_t i = 0; i < wild; i++)
        if (pattern[i] == '/') base = i + 1;
    return base;
}

int corpus_names_any(const char *pattern)
{
    const char *slash = strrchr(pattern, '/'), *last = slash ? slash + 1 : pattern;
    return strcmp(last, "*") == 0 || strcmp(last, "**") == 0;
}

/* ---- braces ---- */

struct expansion {
    int (*each)(void *arg, const char *pattern);
    void *arg;
    int count;
};

/* The brace that closes text[0], '{'; NULL where none does or no comma stands in it. */
static const char *closing(const char *text)
{
    int depth = 0, commas = 0;
    for (const char *p = text; *p; p++) {
        depth += *p == '{';
        commas += *p == ',' && depth == 1;
        if (*p == '}' && --depth == 0) return commas > 0 ? p : NULL;
    }
    return NULL;
}

static int expand(struct expansion *e, const char *pattern)
{
    const char *open = pattern, *close = NULL;
    while ((open = strchr(open, '{')) && !(close = closing(open))) open++;
    if (!open) {
        if (++e->count > MOST_PATTERNS)
            return err_set(ERR_LIMIT, "%.80s: braces stand for more than %d patterns", pattern,
                           MOST_PATTERNS);
        return e->each(e->arg, pattern);
    }
    int depth = 0, result = ERR_OK;
    const char *part = open + 1;
    for (const char *p = open; p <= close && result == ERR_OK; p++) {
        char one[PATH_MAX];
        depth += *p == '{';
        depth -= *p == '}';
        if (!(*p == ',' && depth == 1) && p != close) continue;
        int n = snprintf(one, sizeof one, "%.*s%.*s%s", (int)(open - pattern), pattern,
                         (int)(p - part), part, close + 1);
        if (n >= (int)sizeof one) return err_set(ERR_LIMIT, "path too long: %.80s...", one);
        result = expand(e, one);
        part = p + 1;
    }
    return result;
}

int corpus_names_expand(const char *pattern, int (*each)(void *arg, const char *pattern), void *arg)
{
    struct expansion e = {each, arg, 0};
    return expand(&e, pattern);
}

/* ---- what names say ---- */

static int begins_with_any(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(list[i]);
        if (strncasecmp(name, list[i], n) == 0 &&
            (name[n] == '\0' || name[n] == '.' || name[n] == '-' || name[n] == '_'))
            return 1;
    }
    return 0;
}

static int is_one_of(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(name, list[i]) == 0) return 1;
    return 0;
}

static int ends_like_text(const char *name)
{
    static const char *const ends[] = {".txt",      ".txt.gz",   ".txt.zst", ".txt.zstd",
                                       ".txt.bz2",  ".txt.xz",   ".text",    ".text.gz",
                                       ".text.zst", ".text.bz2", ".text.xz"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t n = strlen(ends[i]);
        if (length >= n && strcasecmp(name + length - n, ends[i]) == 0) return 1;
    }
    return 0;
}

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

enum corpus_name corpus_names_kind(const char *name)
{
    static const char *const papers[] = {
        "README",  "LICENSE", "LICENCE",      "COPYING",  "COPYRIGHT",  "NOTICE", "CHANGELOG",
        "CHANGES", "AUTHORS", "CONTRIBUTING", "CITATION", "SHA256SUMS", "MD5SUMS"};
    static const char *const records[] = {
        "dataset_info.json", "dataset_infos.json", "dataset_dict.json",
        "state.json",        "metadata.json",      "config.json",
        "tokenizer.json",    "requirements.txt",   "tokenizer_config.json",
        "package.json",      "croissant.json",     "special_tokens_map.json"};
    if (name[0] == '.' || begins_with_any(name, papers, COUNT(papers)) ||
        is_one_of(name, records, COUNT(records)))
        return CORPUS_NAME_BESIDE;
    if (documents_named(name) != NAMED_NOTHING || ends_like_text(name)) return CORPUS_NAME_DATA;
    return CORPUS_NAME_OTHER;
}
