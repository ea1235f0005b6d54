#include "engine/corpus.h"

#include "base/err.h"
#include "engine/corpus_files.h"
#include "engine/fingerprint.h"
#include "engine/reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Raised when files are cut into documents in another way, so that old cursors are refused. */
    CORPUS_CUTTING_VERSION = 2,
    FIELD_DOCUMENTS = 100, /* so many without the field, and none with it, are a wrong setting */
};

/* What was known before a file's first document. */
struct start {
    uint64_t index;
    struct engine_documents counts;
    int known;
};

struct corpus {
    struct corpus_options options;
    struct corpus_files files;
    struct start *starts; /* (files) */
    size_t at;            /* index of the open file, or of the next to open */
    struct reader *reader;
    struct documents *documents;
    uint64_t index; /* of the next document */
    struct engine_documents counts;
    char fields[300]; /* that the first document without the field has */
    char note[768];
};

/* ---- reading ---- */

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

static const char *file_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

static int open_file(struct corpus *c)
{
    const struct corpus_file *f = &c->files.items[c->at];
    c->starts[c->at] = (struct start){c->index, c->counts, 1};
    int result = reader_open(f->path, &c->reader);
    if (result != ERR_OK) return result;
    struct documents_options options = {.name = file_name(f->path),
                                        .named = documents_named(f->path),
                                        .text_field = c->options.text_field,
                                        .tokens_field = c->options.tokens_field,
                                        .separator = c->options.separator,
                                        .vocabulary = c->options.vocabulary};
    return documents_open(&options, read_reader, c->reader, &c->documents);
}

void corpus_where(const struct corpus_document *d, char *out, size_t size)
{
    int n = snprintf(out, size, "%s, line %" PRIu64, d->file, d->document.line);
    if (d->document.record > 0 && n > 0 && (size_t)n < size)
        snprintf(out + n, size - (size_t)n, ", record %" PRIu64, d->document.record);
}

static void count(struct corpus *c, const struct corpus_document *d)
{
    struct engine_documents *n = &c->counts;
    n->read++;
    n->replaced += (uint64_t)d->document.replaced;
    if (d->document.kind != DOCUMENT_BAD) return;
    n->skipped[d->document.skip]++;
    if (d->document.skip == ENGINE_SKIP_FIELD && n->skipped[ENGINE_SKIP_FIELD] == 1)
        documents_fields(c->documents, c->fields, sizeof c->fields);
    if (n->first_skipped[0]) return;
    char rest[160];
    struct corpus_document nameless = *d;
    nameless.file = "";
    corpus_where(&nameless, rest, sizeof rest);
    size_t used = strlen(rest), file = strlen(d->file);
    used += (size_t)snprintf(rest + used, sizeof rest - used, ": %.80s", d->document.reason);
    size_t room = sizeof n->first_skipped - 1 - used;
    int cut = file > room; /* the end of a path tells more than its front */
    snprintf(n->first_skipped, sizeof n->first_skipped, "%s%s%s", cut ? "..." : "",
             cut ? d->file + file - (room - 3) : d->file, rest);
}

static uint64_t skipped(const struct engine_documents *n)
{
    uint64_t sum = 0;
    for (int i = 0; i < ENGINE_SKIP_REASONS; i++) sum += n->skipped[i];
    return sum;
}

/* A wrong text_field is told as such; a few documents without it are skipped. */
static int check_field(const struct corpus *c, int ended)
{
    const struct engine_documents *n = &c->counts;
    uint64_t without = n->skipped[ENGINE_SKIP_FIELD];
    if (without == 0 || n->read > skipped(n) || (!ended && without < FIELD_DOCUMENTS))
        return ERR_OK;
    const char *tokens = c->options.tokens_field;
    return err_set(ERR_USAGE,
                   "%s: none of the first %" PRIu64 " documents has %s named '%s'; that one has: "
                   "%s; HINT: set %s",
                   n->first_skipped, n->read, tokens ? "token ids" : "a text",
                   tokens ? tokens : c->options.text_field,
                   c->fields[0] ? c->fields : "none at all",
                   tokens ? "capture.tokens_field" : "capture.text_field");
}

int corpus_next(struct corpus *c, struct corpus_document *out)
{
    *out = (struct corpus_document){.document.kind = DOCUMENT_END};
    while (c->at < c->files.count) {
        int result = c->documents ? ERR_OK : open_file(c);
        if (result == ERR_OK) result = documents_next(c->documents, &out->document);
        if (result != ERR_OK) return result;
        if (out->document.kind != DOCUMENT_END) {
            out->file = file_name(c->files.items[c->at].path);
            out->index = c->index++;
            count(c, out);
            return check_field(c, 0);
        }
        close_file(c);
        c->at++;
    }
    return check_field(c, 1);
}

int corpus_rereadable(const struct corpus *c)
{
    for (size_t i = 0; i < c->files.count; i++)
        if (c->files.items[i].pipe) return 0;
    return 1;
}

int corpus_seek(struct corpus *c, uint64_t index)
{
    if (!corpus_rereadable(c)) return err_set(ERR_STATE, "the corpus cannot be read again");
    close_file(c);
    c->at = 0;
    c->index = 0;
    c->counts = (struct engine_documents){0};
    for (size_t i = 0; i < c->files.count && c->starts[i].known && c->starts[i].index <= index;
         i++) {
        c->at = i;
        c->index = c->starts[i].index;
        c->counts = c->starts[i].counts;
    }
    struct corpus_document passed;
    while (c->index < index) {
        int result = corpus_next(c, &passed);
        if (result != ERR_OK) return result;
        if (passed.document.kind == DOCUMENT_END) break;
    }
    return ERR_OK;
}

const struct engine_documents *corpus_counts(const struct corpus *c)
{
    return &c->counts;
}

/* ---- life ---- */

/* Look at each file's form, so that one that is not read is told now and not in hours. */
static int check_forms(struct corpus *c)
{
    const char *strays = NULL;
    for (c->at = 0; c->at < c->files.count; c->at++) {
        int stray = 0;
        if (c->files.items[c->at].pipe) continue;
        int result = open_file(c);
        if (result == ERR_OK) result = documents_look(c->documents, &stray);
        close_file(c);
        if (result != ERR_OK) return result;
        if (stray && !strays) strays = c->files.items[c->at].path;
    }
    c->at = 0;
    memset(c->starts, 0, c->files.count * sizeof *c->starts);
    snprintf(c->note, sizeof c->note, "%s", c->files.note);
    size_t used = strlen(c->note);
    if (strays)
        snprintf(c->note + used, sizeof c->note - used,
                 "%s%.80s has lines that hold only %%: if they separate documents, set "
                 "capture.document_separator: \"%%\"",
                 used ? "; " : "", strays);
    return ERR_OK;
}

/* An empty corpus is a mistake that is cheap to find now; so is a field that nobody has. */
static int check_documents(struct corpus *c)
{
    if (!corpus_rereadable(c)) return ERR_OK;
    struct corpus_document d;
    int result;
    do {
        result = corpus_next(c, &d);
        if (result != ERR_OK) return result;
    } while (d.document.kind == DOCUMENT_BAD && c->counts.read < FIELD_DOCUMENTS);
    if (c->counts.read == 0)
        return err_set(ERR_FORMAT,
                       "the corpus is empty: there is no text in %s%s; HINT: see capture.corpus",
                       c->files.items[0].path, c->files.count > 1 ? " and the other files" : "");
    return corpus_seek(c, 0);
}

static int check_options(const struct corpus_options *o)
{
    if (!o->separator || (o->separator[0] && !strpbrk(o->separator, "\r\n"))) return ERR_OK;
    return err_set(ERR_USAGE, "capture.document_separator is one line, without its end");
}

int corpus_open(const struct corpus_options *options, struct corpus **corpus)
{
    int result = check_options(options);
    if (result != ERR_OK) return result;
    struct corpus *c = calloc(1, sizeof *c);
    if (!c) return err_set(ERR_NOMEM, "no memory for a corpus");
    c->options = *options;
    result = corpus_files_find(&c->files, options->listed, options->count);
    if (result == ERR_OK) {
        c->starts = calloc(c->files.count, sizeof *c->starts);
        if (!c->starts) result = err_set(ERR_NOMEM, "no memory for the list of corpus files");
    }
    if (result == ERR_OK) result = check_forms(c);
    if (result == ERR_OK) result = check_documents(c);
    if (result != ERR_OK) {
        corpus_close(c);
        return result;
    }
    *corpus = c;
    return ERR_OK;
}

size_t corpus_file_count(const struct corpus *c)
{
    return c->files.count;
}

const char *corpus_note(const struct corpus *c)
{
    return c->note;
}

int corpus_fingerprint(const struct corpus *c, uint64_t *hash)
{
    const struct corpus_options *o = &c->options;
    uint64_t total = fingerprint_add_u64(CORPUS_CUTTING_VERSION, c->files.count);
    total = fingerprint_add_text(total, o->text_field);
    total = fingerprint_add_text(total, o->tokens_field ? o->tokens_field : "");
    total = fingerprint_add_text(total, o->separator ? o->separator : "");
    for (size_t i = 0; i < c->files.count; i++) {
        uint64_t one = 0;
        const struct corpus_file *f = &c->files.items[i];
        int result = f->pipe ? ERR_OK : fingerprint_file(f->path, FINGERPRINT_SAMPLED, NULL, &one);
        if (result != ERR_OK) return result;
        total = fingerprint_add_u64(total, one);
        total = fingerprint_add_u64(total, (uint64_t)documents_named(f->path));
    }
    *hash = total;
    return ERR_OK;
}

void corpus_close(struct corpus *c)
{
    if (!c) return;
    close_file(c);
    corpus_files_free(&c->files);
    free(c->starts);
    free(c);
}
