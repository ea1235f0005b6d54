/* Any bytes as a corpus, whatever pieces they come in: the documents are the same, valid UTF-8,
 * within their bounds. The first two bytes choose the options and the pieces; the rest is sniffed,
 * decoded and cut as any file would be. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "engine/documents.h"
#include "engine/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct stream {
    const uint8_t *data;
    size_t left, step;
};

static int read_stream(void *arg, void *out, size_t size, size_t *got)
{
    struct stream *s = arg;
    size_t n = s->left < s->step ? s->left : s->step;
    if (n > size) n = size;
    if (n > 0) memcpy(out, s->data, n);
    s->data += n;
    s->left -= n;
    *got = n;
    return ERR_OK;
}

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < size; i++) hash = (hash ^ p[i]) * 1099511628211u;
    return hash;
}

static uint64_t text(uint64_t hash, const char *text, size_t size)
{
    if (!utf8_valid(text, size)) abort();
    return mix(hash, text, size);
}

static uint64_t mix_document(uint64_t hash, const struct document *d, uint32_t vocabulary)
{
    if (d->kind == DOCUMENT_BAD && (!d->reason || d->skip >= ENGINE_SKIP_REASONS)) abort();
    if (d->kind == DOCUMENT_TEXT) {
        if (d->size == 0 || d->size > DOCUMENT_LINE_BYTES) abort();
        hash = text(hash, d->text, d->size);
    }
    for (size_t i = 0; d->kind == DOCUMENT_CHAT && i < d->count; i++) {
        const struct document_message *m = &d->messages[i];
        if (m->role[m->role_size] || m->content[m->content_size]) abort();
        hash = text(hash, m->role, m->role_size);
        hash = text(hash, m->content, m->content_size);
    }
    for (size_t i = 0; d->kind == DOCUMENT_TOKENS && i < d->count; i++)
        if (d->tokens[i] < 0 || (vocabulary && d->tokens[i] >= (int32_t)vocabulary)) abort();
    if (d->kind == DOCUMENT_TOKENS) hash = mix(hash, d->tokens, d->count * sizeof *d->tokens);
    return hash;
}

/* A hash of all documents and their kinds. */
static uint64_t read_all(const struct documents_options *options, const uint8_t *data, size_t bytes,
                         size_t step)
{
    struct stream s = {data, bytes, step};
    struct documents *d;
    struct document one;
    uint64_t hash = 1469598103934665603u, line = 0;
    char fields[100];
    if (documents_open(options, read_stream, &s, &d) != ERR_OK) return 0;
    for (;;) {
        int result = documents_next(d, &one);
        documents_fields(d, fields, sizeof fields);
        int32_t seen[3] = {result, (int)one.kind, one.kind == DOCUMENT_BAD ? (int)one.skip : 0};
        if (result != ERR_OK) seen[1] = 0;
        hash = mix(hash, seen, sizeof seen);
        if (result != ERR_OK || one.kind == DOCUMENT_END) break;
        if (one.line < line) abort();
        line = one.line;
        hash = mix_document(hash, &one, options->vocabulary);
    }
    documents_close(d);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char *const fields[] = {"text", "a.b", "messages", "ids"};
    if (bytes < 2) return 0;
    struct documents_options options = {.name = "fuzz",
                                        .named = (enum documents_name)(data[0] % 5),
                                        .text_field = fields[data[0] / 5 % 4],
                                        .separator = data[1] & 1 ? "%" : NULL,
                                        .vocabulary = data[1] & 2 ? 1000 : 0};
    if (data[1] & 4) options.tokens_field = options.text_field;
    size_t step = 1 + (data[1] >> 3) * 3u;
    uint64_t pieces = read_all(&options, data + 2, bytes - 2, step);
    if (read_all(&options, data + 2, bytes - 2, 1 << 20) != pieces) abort();
    return 0;
}
