/* Any bytes as a corpus, plain or JSON lines, whatever pieces they come in: the documents are the
 * same, valid UTF-8, within their bounds. The first byte chooses the form and the pieces. */
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

/* A hash of all documents and their kinds. */
static uint64_t read_all(const uint8_t *data, size_t bytes, size_t step, int json)
{
    struct stream s = {data, bytes, step};
    struct documents *d;
    struct document one;
    uint64_t hash = 1469598103934665603u, line = 0;
    if (documents_open("fuzz", "text", json, read_stream, &s, &d) != ERR_OK) return 0;
    for (;;) {
        int result = documents_next(d, &one);
        hash = (hash ^ (uint64_t)(result * 8 + (int)one.kind)) * 1099511628211u;
        if (result != ERR_OK || one.kind == DOCUMENT_END) break;
        if (one.line < line) abort();
        line = one.line;
        if (one.kind != DOCUMENT_TEXT) {
            if (!one.reason) abort();
            continue;
        }
        if (one.size == 0 || one.size > DOCUMENT_LINE_BYTES) abort();
        if (!utf8_valid(one.text, one.size)) abort();
        for (size_t i = 0; i < one.size; i++) hash = (hash ^ (uint8_t)one.text[i]) * 1099511628211u;
    }
    documents_close(d);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0) return 0;
    int json = data[0] & 1;
    size_t step = 1 + (data[0] >> 1);
    uint64_t pieces = read_all(data + 1, bytes - 1, step, json);
    if (read_all(data + 1, bytes - 1, 1 << 16, json) != pieces) abort();
    return 0;
}
