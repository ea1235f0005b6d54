#include "engine/corpus.h"

#include "base/err.h"
#include "engine/fingerprint.h"
#include "engine/reader.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Raised when files are cut into documents in another way, so that old cursors are refused. */
enum { CORPUS_CUTTING_VERSION = 1 };

struct file {
    char *path;
    int pipe;
    uint64_t first; /* number of its first document, where `known` */
    int known;
};

struct corpus {
    const char *text_field;
    struct file *files;
    size_t count, room;
    size_t at; /* index of the open file, or of the next to open */
    struct reader *reader;
    struct documents *documents;
    uint64_t index; /* of the next document */
};

/* ---- the list of files ------------------------------------------------------------------ */

static int add_file(struct corpus *c, const char *path)
{
    struct stat st;
    int is_stdin = strcmp(path, "-") == 0;
    if (!is_stdin && stat(path, &st) != 0)
        return err_set(err_of_file(errno), "corpus file %s: %s; HINT: see capture.corpus", path,
                       strerror(errno));
    if (!is_stdin && S_ISDIR(st.st_mode))
        return err_set(ERR_USAGE, "corpus: %s is a folder; HINT: write %s/* for the files in it",
                       path, path);
    if (!is_stdin && access(path, R_OK) != 0)
        return err_set(err_of_file(errno), "corpus file %s cannot be read: %s", path,
                       strerror(errno));
    if (c->count == c->room) {
        size_t room = c->room ? 2 * c->room : 16;
        struct file *larger = realloc(c->files, room * sizeof *larger);
        if (!larger) return err_set(ERR_NOMEM, "no memory for the list of corpus files");
        c->files = larger;
        c->room = room;
    }
    char *copy = strdup(path);
    if (!copy) return err_set(ERR_NOMEM, "no memory for the list of corpus files");
    c->files[c->count++] = (struct file){.path = copy, .pipe = is_stdin || !S_ISREG(st.st_mode)};
    return ERR_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Folders that a pattern matches are passed over: a star means the files of a folder. */
static int add_matches(struct corpus *c, const char *pattern)
{
    glob_t found = {0};
    int status = glob(pattern, GLOB_NOSORT | GLOB_BRACE | GLOB_TILDE, NULL, &found);
    int result = ERR_OK;
    size_t added = 0;
    if (status == GLOB_NOSPACE) {
        result = err_set(ERR_NOMEM, "no memory for the files of %s", pattern);
        goto out;
    }
    if (status == 0) qsort(found.gl_pathv, found.gl_pathc, sizeof(char *), by_bytes);
    for (size_t i = 0; status == 0 && i < found.gl_pathc; i++) {
        struct stat st;
        if (stat(found.gl_pathv[i], &st) == 0 && S_ISDIR(st.st_mode)) continue;
        result = add_file(c, found.gl_pathv[i]);
        if (result != ERR_OK) goto out;
        added++;
    }
    if (added == 0)
        result = err_set(ERR_USAGE,
                         "corpus: no file matches %s; HINT: patterns are resolved from "
                         "the folder in which the program was started",
                         pattern);
out:
    globfree(&found);
    return result;
}

static int is_pattern(const char *text)
{
    return strpbrk(text, "*?[{~") != NULL && access(text, F_OK) != 0;
}

/* ---- reading ---------------------------------------------------------------------------- */

static int read_reader(void *arg, void *out, size_t size, size_t *got)
{
    return reader_read(arg, out, size, got);
}

static void close_file(struct corpus *c)
{
    documents_close(c->documents);
    reader_close(c->reader);
    c->documents = NULL;
    c->reader = NULL;
}

static int open_file(struct corpus *c)
{
    struct file *f = &c->files[c->at];
    int result = reader_open(f->path, &c->reader);
    if (result != ERR_OK) return result;
    f->first = c->index;
    f->known = 1;
    const char *name = strcmp(f->path, "-") == 0 ? "standard input" : f->path;
    return documents_open(name, c->text_field, documents_named_json(f->path), read_reader,
                          c->reader, &c->documents);
}

int corpus_next(struct corpus *c, struct corpus_document *out)
{
    *out = (struct corpus_document){.document.kind = DOCUMENT_END};
    while (c->at < c->count) {
        int result = c->documents ? ERR_OK : open_file(c);
        if (result == ERR_OK) result = documents_next(c->documents, &out->document);
        if (result != ERR_OK) return result;
        if (out->document.kind != DOCUMENT_END) {
            out->file = c->files[c->at].path;
            out->index = c->index++;
            return ERR_OK;
        }
        close_file(c);
        c->at++;
    }
    return ERR_OK;
}

int corpus_rereadable(const struct corpus *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->files[i].pipe) return 0;
    return 1;
}

int corpus_seek(struct corpus *c, uint64_t index)
{
    if (!corpus_rereadable(c)) return err_set(ERR_STATE, "the corpus cannot be read again");
    close_file(c);
    c->at = 0;
    c->index = 0;
    for (size_t i = 0; i < c->count && c->files[i].known && c->files[i].first <= index; i++) {
        c->at = i;
        c->index = c->files[i].first;
    }
    struct corpus_document passed;
    while (c->index < index) {
        int result = corpus_next(c, &passed);
        if (result != ERR_OK) return result;
        if (passed.document.kind == DOCUMENT_END) break;
    }
    return ERR_OK;
}

/* ---- life ------------------------------------------------------------------------------- */

/* An empty corpus is a mistake that is cheap to find now. */
static int check_not_empty(struct corpus *c)
{
    if (!corpus_rereadable(c)) return ERR_OK;
    struct corpus_document first;
    int result = corpus_next(c, &first);
    if (result != ERR_OK) return result;
    if (first.document.kind == DOCUMENT_END)
        return err_set(ERR_FORMAT,
                       "the corpus is empty: there is no text in %s%s; HINT: see "
                       "capture.corpus",
                       c->files[0].path, c->count > 1 ? " and the other files" : "");
    return corpus_seek(c, 0);
}

int corpus_open(const char *const *patterns, uint32_t count, const char *text_field,
                struct corpus **corpus)
{
    if (count == 0)
        return err_set(ERR_USAGE, "no corpus is given; HINT: set capture.corpus to files, patterns "
                                  "or \"-\" for standard input");
    struct corpus *c = calloc(1, sizeof *c);
    if (!c) return err_set(ERR_NOMEM, "no memory for a corpus");
    c->text_field = text_field;
    int result = ERR_OK;
    for (uint32_t i = 0; i < count && result == ERR_OK; i++)
        result = is_pattern(patterns[i]) ? add_matches(c, patterns[i]) : add_file(c, patterns[i]);
    if (result == ERR_OK) result = check_not_empty(c);
    if (result != ERR_OK) {
        corpus_close(c);
        return result;
    }
    *corpus = c;
    return ERR_OK;
}

int corpus_fingerprint(const struct corpus *c, uint64_t *hash)
{
    uint64_t total = fingerprint_add_u64(CORPUS_CUTTING_VERSION, c->count);
    total = fingerprint_add_text(total, c->text_field);
    for (size_t i = 0; i < c->count; i++) {
        uint64_t one = 0;
        const struct file *f = &c->files[i];
        int result = f->pipe ? ERR_OK : fingerprint_file(f->path, FINGERPRINT_SAMPLED, NULL, &one);
        if (result != ERR_OK) return result;
        total = fingerprint_add_u64(total, one);
        total = fingerprint_add_u64(total, (uint64_t)documents_named_json(f->path));
    }
    *hash = total;
    return ERR_OK;
}

void corpus_close(struct corpus *c)
{
    if (!c) return;
    close_file(c);
    for (size_t i = 0; i < c->count; i++) free(c->files[i].path);
    free(c->files);
    free(c);
}
