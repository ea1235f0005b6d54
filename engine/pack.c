#include "engine/pack.h"

#include "base/err.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct pack {
    struct corpus *corpus;
    struct pack_options options;
    struct pack_counters counters;
    int ended;
    /* The document being packed: `used` of its `count` tokens (separator included) are in contexts
     * already. Before the first one, document is the share's first number and all else is 0. */
    uint64_t document;
    int32_t *tokens; /* a copy: others use the tokenizer, too, before all are packed */
    size_t tokens_room;
    size_t text; /* tokens without the separator */
    size_t count, used;
    struct engine_documents documents; /* up to this one */
    uint64_t sequence;                 /* of the next context */
    int32_t *context;                  /* (context_tokens) */
};

int pack_open(struct corpus *corpus, const struct pack_options *options, struct pack **pack)
{
    if (options->context_tokens < (options->bos >= 0 ? 2u : 1u))
        return err_set(ERR_USAGE, "contexts of %u tokens have no room for text",
                       options->context_tokens);
    struct pack *p = calloc(1, sizeof *p);
    int32_t *context = malloc(options->context_tokens * sizeof *context);
    if (!p || !context) {
        free(p);
        free(context);
        return err_set(ERR_NOMEM, "no memory for contexts of %u tokens", options->context_tokens);
    }
    p->corpus = corpus;
    p->options = *options;
    p->document = options->share_index;
    p->sequence = options->share_index;
    p->context = context;
    *pack = p;
    return ERR_OK;
}

void pack_close(struct pack *p)
{
    if (!p) return;
    free(p->tokens);
    free(p->context);
    free(p);
}

struct pack_counters pack_counters(const struct pack *p)
{
    return p->counters;
}

const struct engine_documents *pack_documents(const struct pack *p)
{
    return &p->documents;
}

/* Count a bad document, or end with it. */
static int bad_document(const struct pack_options *options, struct pack_counters *counters,
                        const struct corpus_document *d)
{
    counters->bad_text++;
    counters->bad_text_bytes += d->document.size;
    if (options->on_bad_text == BAD_TEXT_SKIP) return ERR_OK;
    char where[512];
    corpus_where(d, where, sizeof where);
    return err_set(ERR_FORMAT, "%s: %s; HINT: mend it, or set capture.on_bad_text: skip", where,
                   d->document.reason);
}

/* Next good document of the share; *found = 0 at the corpus's end. */
static int next_document(struct pack *p, struct corpus_document *d, int *found)
{
    *found = 0;
    for (;;) {
        int result = corpus_next(p->corpus, d);
        if (result != ERR_OK || d->document.kind == DOCUMENT_END) return result;
        if (d->index % p->options.share_count != p->options.share_index) continue;
        if (d->document.kind != DOCUMENT_BAD) break;
        result = bad_document(&p->options, &p->counters, d);
        if (result != ERR_OK) return result;
    }
    p->counters.documents++;
    *found = 1;
    return ERR_OK;
}

static int tokens_of(const struct pack_options *options, const struct document *d,
                     const int32_t **tokens, size_t *count)
{
    if (d->kind == DOCUMENT_CHAT)
        return options->tokenize_chat(options->arg, d->messages, d->count, tokens, count);
    if (d->kind == DOCUMENT_TEXT)
        return options->tokenize(options->arg, d->text, d->size, tokens, count);
    *tokens = d->tokens;
    *count = d->count;
    return ERR_OK;
}

static uint32_t room_of(const struct pack_options *options)
{
    return options->context_tokens - (options->bos >= 0);
}

/* Tokens of a document, its separator among them where it gets one. */
static size_t with_separator(const struct pack_options *options, const struct document *d,
                             const int32_t *tokens, size_t count)
{
    if (count == 0 || options->separator < 0) return count;
    if (d->kind == DOCUMENT_TOKENS && tokens[count - 1] == options->separator) return count;
    if (options->one_document && count % room_of(options) == 0) return count;
    return count + 1;
}

static int keep_tokens(struct pack *p, const int32_t *tokens, size_t count)
{
    if (count > p->tokens_room) {
        free(p->tokens);
        p->tokens = malloc(count * sizeof *p->tokens);
        p->tokens_room = p->tokens ? count : 0;
        if (!p->tokens) return err_set(ERR_NOMEM, "no memory for a document of %zu tokens", count);
    }
    if (count > 0) memcpy(p->tokens, tokens, count * sizeof *p->tokens);
    return ERR_OK;
}

/* Make the next document of the share that has tokens the current one. */
static int load(struct pack *p)
{
    for (;;) {
        struct corpus_document d;
        const int32_t *tokens;
        int found;
        int result = next_document(p, &d, &found);
        if (result != ERR_OK) return result;
        p->documents = *corpus_counts(p->corpus);
        if (!found) {
            p->ended = 1;
            return ERR_OK;
        }
        result = tokens_of(&p->options, &d.document, &tokens, &p->text);
        if (result == ERR_OK) result = keep_tokens(p, tokens, p->text);
        if (result != ERR_OK) return result;
        p->document = d.index;
        p->count = with_separator(&p->options, &d.document, p->tokens, p->text);
        p->used = 0;
        if (p->count > 0) return ERR_OK;
    }
}

/* The next n tokens of the current document; the separator is its last. */
static void copy_tokens(const struct pack *p, int32_t *to, size_t n)
{
    size_t plain = p->used >= p->text ? 0 : p->text - p->used;
    if (plain > n) plain = n;
    memcpy(to, p->tokens + p->used, plain * sizeof *to);
    if (n > plain) to[plain] = p->options.separator;
}

struct cursor pack_cursor(const struct pack *p)
{
    return (struct cursor){.document = p->document, .offset = p->used, .sequence = p->sequence};
}

int pack_next(struct pack *p, struct pack_context *out)
{
    out->begin = pack_cursor(p);
    out->tokens = p->context;
    uint32_t filled = 0, bos = p->options.bos >= 0;
    if (bos) p->context[filled++] = p->options.bos;
    while (filled < p->options.context_tokens && !p->ended) {
        if (p->used == p->count) {
            int result = load(p);
            if (result != ERR_OK) return result;
            continue;
        }
        size_t n = p->count - p->used;
        if (n > p->options.context_tokens - filled) n = p->options.context_tokens - filled;
        copy_tokens(p, p->context + filled, n);
        p->used += n;
        filled += (uint32_t)n;
        if (p->options.one_document && p->used == p->count) break;
    }
    out->count = filled > bos ? filled : 0;
    if (out->count > 0) p->sequence += p->options.share_count;
    return ERR_OK;
}

static int beyond(const struct cursor *cursor)
{
    return err_set(ERR_MISMATCH,
                   "the corpus has no document %" PRIu64 " with %" PRIu64 " tokens: it is not the "
                   "one that this stream was begun with; HINT: put the old corpus back, or start "
                   "over",
                   cursor->document, cursor->offset);
}

int pack_seek(struct pack *p, const struct cursor *cursor)
{
    uint64_t document = cursor->document, sequence = cursor->sequence;
    if (document == 0 && sequence == 0 && cursor->offset == 0) /* the beginning, for any share */
        document = sequence = p->options.share_index;
    if (document % p->options.share_count != p->options.share_index ||
        sequence % p->options.share_count != p->options.share_index)
        return err_set(ERR_MISMATCH,
                       "document %" PRIu64 ", sequence %" PRIu64 " belong to another share than %u "
                       "of %u; HINT: capture.producers must stay as it was",
                       document, sequence, p->options.share_index, p->options.share_count);
    int result = corpus_seek(p->corpus, document);
    if (result != ERR_OK) return result;
    p->ended = 0;
    p->document = document;
    p->sequence = sequence;
    p->text = p->count = p->used = 0;
    p->documents = *corpus_counts(p->corpus);
    if (cursor->offset == 0) return ERR_OK;
    result = load(p);
    if (result != ERR_OK) return result;
    if (p->ended || p->document != document || cursor->offset > p->count) return beyond(cursor);
    p->used = cursor->offset;
    return ERR_OK;
}

/* What the shares' tokens are in contexts, BOS tokens among them. */
struct tally {
    uint64_t *of_share; /* (share_count) tokens packed one behind another */
    uint64_t tokens;    /* all */
    uint64_t contexts;  /* of one document each */
};

static int tally_document(const struct pack_options *options, const struct corpus_document *d,
                          struct tally *t)
{
    const int32_t *tokens;
    size_t count = 0;
    int result = tokens_of(options, &d->document, &tokens, &count);
    if (result != ERR_OK) return result;
    count = with_separator(options, &d->document, tokens, count);
    t->of_share[d->index % options->share_count] += count;
    t->tokens += count;
    t->contexts += (count + room_of(options) - 1) / room_of(options);
    return ERR_OK;
}

static uint64_t contexts_of(const struct pack_options *options, const struct tally *t)
{
    uint64_t contexts = 0, room = room_of(options);
    if (options->one_document) return t->contexts;
    for (uint32_t i = 0; i < options->share_count; i++)
        contexts += (t->of_share[i] + room - 1) / room;
    return contexts;
}

int pack_count(struct corpus *corpus, const struct pack_options *options, uint64_t *tokens,
               void (*progress)(void *arg, uint64_t tokens), void *arg)
{
    struct tally t = {.of_share = calloc(options->share_count, sizeof *t.of_share)};
    if (!t.of_share)
        return err_set(ERR_NOMEM, "no memory to count %u shares", options->share_count);
    struct pack_counters counters = {0};
    struct corpus_document d;
    uint64_t reported = 0;
    int result;
    while ((result = corpus_next(corpus, &d)) == ERR_OK && d.document.kind != DOCUMENT_END) {
        if (d.document.kind == DOCUMENT_BAD)
            result = bad_document(options, &counters, &d);
        else
            result = tally_document(options, &d, &t);
        if (result != ERR_OK) break;
        if (progress && t.tokens - reported >= 1 << 16) progress(arg, reported = t.tokens);
    }
    *tokens = t.tokens + (options->bos >= 0 ? contexts_of(options, &t) : 0);
    free(t.of_share);
    return result;
}
