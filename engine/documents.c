#include "engine/documents.h"

#include "base/err.h"
#include "engine/documents_form.h"
#include "engine/sniff.h"
#include "engine/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int documents_open(const struct documents_options *options, encoding_source read, void *arg,
                   struct documents **documents)
{
    struct documents *d = calloc(1, sizeof *d);
    if (!d) return err_set(ERR_NOMEM, "no memory to read %s", options->name);
    d->options = *options;
    d->texts.options = &d->options;
    int result = bytes_open(&d->bytes, options->name, read, arg);
    if (result != ERR_OK) {
        documents_close(d);
        return result;
    }
    *documents = d;
    return ERR_OK;
}

void documents_close(struct documents *d)
{
    if (!d) return;
    json_texts_free(&d->texts);
    free(d->csv.text);
    bytes_close(&d->bytes);
    free(d);
}

void documents_make_text(char *text, size_t size, struct document *document)
{
    document->kind = DOCUMENT_END;
    if (bytes_blank(text, size)) return;
    document->size = size;
    if (!utf8_valid(text, size)) {
        document->replaced = utf8_mend(text, size) > 0;
        if (!utf8_valid(text, size)) {
            document->kind = DOCUMENT_BAD;
            document->skip = ENGINE_SKIP_ENCODING;
            document->reason = "not valid UTF-8";
            document->replaced = 0;
            return;
        }
    }
    document->kind = DOCUMENT_TEXT;
    document->text = text;
}

/* ---- the form ---- */

static int refuse(struct documents *d)
{
    const char *hint;
    int result = bytes_ensure(&d->bytes, DOCUMENTS_HEAD_BYTES);
    if (result != ERR_OK) return result;
    const char *what = sniff(bytes_at(&d->bytes), documents_head(d), d->options.text_field, &hint);
    if (!what) return ERR_OK;
    return err_set(ERR_USAGE, "%s looks like %s, which is not read as a corpus; HINT: %s",
                   d->options.name, what, hint);
}

static int no_tokens(const struct documents *d)
{
    return err_set(ERR_USAGE,
                   "%s is %s, and capture.tokens_field ('%s') asks for token ids, which are read "
                   "from JSON; HINT: leave tokens_field out",
                   d->options.name, d->csv.delimiter ? "CSV" : "plain text",
                   d->options.tokens_field);
}

/* JSON first: it tells itself surely, and its first lines may be long. */
static int find_form(struct documents *d)
{
    int result = refuse(d);
    if (result == ERR_OK) result = documents_json_find(d);
    if (result != ERR_OK || d->json != JSON_FORM_NONE) return result;
    result = documents_csv_find(d);
    if (result != ERR_OK) return result;
    if (!d->csv.delimiter) result = documents_json_strays(d);
    if (result != ERR_OK) return result;
    if (d->options.tokens_field && bytes_have(&d->bytes) > 0) return no_tokens(d);
    d->stray_separators = !d->csv.delimiter && documents_text_strays(d);
    return ERR_OK;
}

int documents_look(struct documents *d, int *stray_separators)
{
    int result = d->looked ? ERR_OK : find_form(d);
    d->looked |= result == ERR_OK;
    *stray_separators = d->stray_separators;
    return result;
}

int documents_next(struct documents *d, struct document *document)
{
    int unused;
    *document = (struct document){.kind = DOCUMENT_END};
    int result = documents_look(d, &unused);
    if (result != ERR_OK) return result;
    if (d->json != JSON_FORM_NONE) return documents_json_next(d, document);
    if (d->csv.delimiter) return documents_csv_next(d, document);
    return documents_text_next(d, document);
}

void documents_fields(const struct documents *d, char *out, size_t size)
{
    snprintf(out, size, "%s", d->texts.fields);
}

/* ---- names ---- */

static int take_end(const char *text, size_t *length, const char *end)
{
    size_t n = strlen(end);
    if (*length < n || strncasecmp(text + *length - n, end, n) != 0) return 0;
    *length -= n;
    return 1;
}

enum documents_name documents_named(const char *path)
{
    static const char *const packed[] = {".gz", ".zst", ".zstd", ".bz2", ".xz"};
    static const struct {
        const char *end;
        enum documents_name name;
    } names[] = {{".jsonl", NAMED_JSON_LINES},
                 {".ndjson", NAMED_JSON_LINES},
                 {".json", NAMED_JSON},
                 {".csv", NAMED_CSV},
                 {".tsv", NAMED_TSV}};
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++)
        if (take_end(path, &length, packed[i])) break;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (take_end(path, &length, names[i].end)) return names[i].name;
    return NAMED_NOTHING;
}
