#include "engine/llama_chat.h"

#include "base/err.h"
#include "engine/llama_guard.h"

#include <limits.h>
#include <llama.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A spelling of a marker (or a NUL) in what a message says; it stays out while the template is
 * applied and stands in for itself again when the result is tokenized. */
struct spelling {
    const char *text;
    size_t size;
};

struct llama_chat {
    const struct llama_model *model;
    const struct llama_vocab *vocab;
    const char *path;
    const char **markers; /* texts of the control tokens */
    size_t markers_count;
    char begins_marker[256]; /* bytes that a marker may begin with, and NUL */
    struct spelling *spellings;
    size_t spellings_used, spellings_room;
    char stand_in[24]; /* what stands in for a spelling; its number and '\x02' follow */
    char *written;     /* messages with stand-ins, then the template's result */
    size_t written_room;
    int32_t *tokens;
    size_t tokens_used, tokens_room;
};

static int no_memory(void)
{
    return err_set(ERR_NOMEM, "no memory for a conversation");
}

static int is_marker(const struct llama_vocab *vocab, int32_t token)
{
    enum llama_token_attr attributes = llama_vocab_get_attr(vocab, token);
    const char *text = llama_vocab_get_text(vocab, token);
    return (attributes & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN)) && text && text[0];
}

int llama_chat_open(const struct llama_model *model, const char *path, struct llama_chat **chat)
{
    struct llama_chat *c = calloc(1, sizeof *c);
    if (!c) return no_memory();
    c->model = model;
    c->vocab = llama_model_get_vocab(model);
    c->path = path;
    int has_tokens = llama_vocab_type(c->vocab) != LLAMA_VOCAB_TYPE_NONE;
    int32_t n = has_tokens ? llama_vocab_n_tokens(c->vocab) : 0;
    for (int32_t i = 0; i < n; i++) c->markers_count += (size_t)is_marker(c->vocab, i);
    c->markers = malloc((c->markers_count + 1) * sizeof *c->markers);
    if (!c->markers) {
        free(c);
        return no_memory();
    }
    c->begins_marker[0] = 1;
    for (int32_t i = 0, at = 0; i < n; i++) {
        if (!is_marker(c->vocab, i)) continue;
        c->markers[at++] = llama_vocab_get_text(c->vocab, i);
        c->begins_marker[(unsigned char)c->markers[at - 1][0]] = 1;
    }
    *chat = c;
    return ERR_OK;
}

void llama_chat_close(struct llama_chat *c)
{
    if (!c) return;
    free(c->markers);
    free(c->spellings);
    free(c->written);
    free(c->tokens);
    free(c);
}

/* ---- spellings ---- */

/* The longest marker that text[size] begins with; 0: none. A NUL counts as one. */
static size_t marker_at(const struct llama_chat *c, const char *text, size_t size)
{
    size_t longest = text[0] == '\0';
    for (size_t i = 0; i < c->markers_count; i++) {
        size_t n = strlen(c->markers[i]);
        if (n > longest && n <= size && memcmp(text, c->markers[i], n) == 0) longest = n;
    }
    return longest;
}

/* The first spelling of a marker in text[size]; size 0: none. */
static struct spelling find_spelling(const struct llama_chat *c, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!c->begins_marker[(unsigned char)text[i]]) continue;
        size_t n = marker_at(c, text + i, size - i);
        if (n > 0) return (struct spelling){text + i, n};
    }
    return (struct spelling){text + size, 0};
}

static int keep_spelling(struct llama_chat *c, struct spelling spelling)
{
    if (c->spellings_used == c->spellings_room) {
        size_t room = c->spellings_room ? 2 * c->spellings_room : 16;
        struct spelling *larger = realloc(c->spellings, room * sizeof *larger);
        if (!larger) return no_memory();
        c->spellings = larger;
        c->spellings_room = room;
    }
    c->spellings[c->spellings_used++] = spelling;
    return ERR_OK;
}

/* Something that no message holds. */
static void choose_stand_in(struct llama_chat *c, const struct document_message *messages, size_t n)
{
    for (unsigned salt = 0;; salt++) {
        size_t i = 0;
        int size = snprintf(c->stand_in, sizeof c->stand_in, "\x01%u\x01", salt);
        while (i < n &&
               !memmem(messages[i].content, messages[i].content_size, c->stand_in, (size_t)size) &&
               !memmem(messages[i].role, messages[i].role_size, c->stand_in, (size_t)size))
            i++;
        if (i == n) return;
    }
}

static int make_room(struct llama_chat *c, size_t size)
{
    if (size <= c->written_room) return ERR_OK;
    char *larger = realloc(c->written, 2 * size);
    if (!larger) return no_memory();
    c->written = larger;
    c->written_room = 2 * size;
    return ERR_OK;
}

/* Write text behind what is there, with stand-ins, and a NUL. */
static int write_plain(struct llama_chat *c, const char *text, size_t size, size_t *used)
{
    for (;;) {
        struct spelling s = find_spelling(c, text, size);
        size_t before = (size_t)(s.text - text);
        int result = make_room(c, *used + before + sizeof c->stand_in + 24);
        if (result != ERR_OK) return result;
        memcpy(c->written + *used, text, before);
        *used += before;
        if (s.size == 0) break;
        *used += (size_t)sprintf(c->written + *used, "%s%zu\x02", c->stand_in, c->spellings_used);
        result = keep_spelling(c, s);
        if (result != ERR_OK) return result;
        text += before + s.size;
        size -= before + s.size;
    }
    c->written[(*used)++] = '\0';
    return ERR_OK;
}

/* ---- the template ---- */

static int unknown_template(const struct llama_chat *c, const char *text)
{
    char begins[61] = "";
    if (!text)
        return err_set(ERR_USAGE,
                       "the corpus holds conversations, and %s has no chat template to write them "
                       "with; HINT: use a chat model, or write them out as text and name that "
                       "field in capture.text_field",
                       c->path);
    for (size_t i = 0; i + 1 < sizeof begins && text[i]; i++)
        begins[i] = text[i] == '\n' ? ' ' : text[i];
    return err_set(ERR_USAGE,
                   "the corpus holds conversations, and llama.cpp does not know the chat template "
                   "of %s (it begins '%s'); HINT: write them out as text (transformers' "
                   "apply_chat_template) and name that field in capture.text_field",
                   c->path, begins);
}

/* Apply the template to messages; the result is `written`. */
static int apply(struct llama_chat *c, const struct llama_chat_message *messages, size_t n,
                 size_t plain_size, size_t *size)
{
    const char *text = llama_model_chat_template(c->model, NULL);
    if (!text) return unknown_template(c, NULL);
    int32_t length = (int32_t)(2 * plain_size + 256);
    for (;;) {
        int result = make_room(c, (size_t)length);
        if (result != ERR_OK) return result;
        llama_guard_enter();
        int32_t needed = llama_chat_apply_template(text, messages, n, false, c->written, length);
        llama_guard_leave();
        if (needed < 0) return unknown_template(c, text);
        *size = (size_t)needed;
        if (needed <= length) return ERR_OK;
        length = needed;
    }
}

static int write_chat(struct llama_chat *c, const struct document_message *messages, size_t n,
                      size_t *size)
{
    size_t used = 0, at = 0;
    int result = ERR_OK;
    for (size_t i = 0; i < n && result == ERR_OK; i++) {
        result = write_plain(c, messages[i].role, messages[i].role_size, &used);
        if (result == ERR_OK)
            result = write_plain(c, messages[i].content, messages[i].content_size, &used);
    }
    if (result != ERR_OK) return result;
    if (used > INT32_MAX / 4) return err_set(ERR_LIMIT, "a conversation of %zu bytes", used);
    char *plain = c->written; /* the template's result goes into another block */
    struct llama_chat_message *list = malloc(n * sizeof *list);
    c->written = NULL;
    c->written_room = 0;
    if (!list) result = no_memory();
    for (size_t i = 0; i < n && list; i++) {
        list[i].role = plain + at;
        at += strlen(plain + at) + 1;
        list[i].content = plain + at;
        at += strlen(plain + at) + 1;
    }
    if (result == ERR_OK) result = apply(c, list, n, used, size);
    free(list);
    free(plain);
    return result;
}

/* ---- tokens ---- */

static int append_tokens(struct llama_chat *c, const char *text, size_t size, int special)
{
    for (size_t want = size / 2 + 16; size > 0;) {
        if (c->tokens_room - c->tokens_used < want) {
            int32_t *larger = realloc(c->tokens, (c->tokens_used + 2 * want) * sizeof *larger);
            if (!larger) return no_memory();
            c->tokens = larger;
            c->tokens_room = c->tokens_used + 2 * want;
        }
        size_t room = c->tokens_room - c->tokens_used;
        llama_guard_enter();
        int32_t got = llama_tokenize(c->vocab, text, (int32_t)size, c->tokens + c->tokens_used,
                                     room < INT_MAX ? (int32_t)room : INT_MAX, false, special);
        llama_guard_leave();
        if (got == INT32_MIN) return err_set(ERR_LIMIT, "a conversation has too many tokens");
        if (got >= 0) {
            c->tokens_used += (size_t)got;
            break;
        }
        want = (size_t)-got;
    }
    return ERR_OK;
}

int llama_chat_tokenize(struct llama_chat *c, const struct document_message *messages, size_t n,
                        const int32_t **tokens, size_t *count)
{
    size_t size = 0;
    c->spellings_used = c->tokens_used = 0;
    choose_stand_in(c, messages, n);
    int result = write_chat(c, messages, n, &size);
    const char *at = c->written, *end = at ? at + size : at;
    while (result == ERR_OK && at < end) {
        const char *mark = memmem(at, (size_t)(end - at), c->stand_in, strlen(c->stand_in));
        result = append_tokens(c, at, (size_t)((mark ? mark : end) - at), 1);
        if (result != ERR_OK || !mark) break;
        char *behind;
        size_t number = strtoul(mark + strlen(c->stand_in), &behind, 10);
        if (number >= c->spellings_used)
            return err_set(ERR_INTERNAL, "a chat template changed what a message says");
        result = append_tokens(c, c->spellings[number].text, c->spellings[number].size, 0);
        at = behind + 1;
    }
    *tokens = c->tokens;
    *count = c->tokens_used;
    return result;
}
