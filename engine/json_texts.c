#include "engine/json_texts.h"

#include "base/err.h"
#include "engine/documents_form.h"
#include "engine/jsonwalk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST_LIST = 16 }; /* lists within lists on the way to a text */

/* Room for one more in an array that grows by doubling. */
static int grow(void *array, size_t used, size_t *room, size_t item_bytes)
{
    void **at = array;
    if (used < *room) return ERR_OK;
    size_t more = *room ? 2 * *room : 64;
    void *larger = realloc(*at, more * item_bytes);
    if (!larger) return err_set(ERR_NOMEM, "no memory for a document");
    *at = larger;
    *room = more;
    return ERR_OK;
}

static int add(struct json_texts *t, const struct document *document, size_t first)
{
    int result = grow(&t->items, t->count, &t->room, sizeof *t->items);
    if (result == ERR_OK)
        t->items[t->count++] = (struct json_text_item){
            document->reason,          document->text ? (uint32_t)(document->text - t->text) : 0,
            (uint32_t)document->size,  (uint32_t)first,
            (uint32_t)document->count, (uint8_t)document->kind,
            (uint8_t)document->skip,   document->replaced != 0};
    return result;
}

static int add_bad(struct json_texts *t, enum engine_skip skip, const char *reason)
{
    return add(t,
               &(struct document){
                   .kind = DOCUMENT_BAD, .size = t->value_size, .skip = skip, .reason = reason},
               0);
}

/* ---- texts ---- */

/* Decode a string behind the others; the size of the whole value is room enough for all. */
static long decode(struct json_texts *t, const char *value, size_t size, size_t *replaced)
{
    return jsonwalk_decode(value, size, t->text + t->text_used, replaced);
}

static int add_text(struct json_texts *t, const char *value, size_t size)
{
    struct document document = {.kind = DOCUMENT_END};
    size_t replaced = 0;
    char *text = t->text + t->text_used;
    long n = decode(t, value, size, &replaced);
    if (n < 0) return add_bad(t, ENGINE_SKIP_SYNTAX, "an escape that JSON does not have");
    documents_make_text(text, (size_t)n, &document);
    if (document.kind == DOCUMENT_BAD) return add_bad(t, document.skip, document.reason);
    if (document.kind == DOCUMENT_END) return ERR_OK;
    document.replaced |= replaced > 0;
    t->text_used += (size_t)n;
    return add(t, &document, 0);
}

/* ---- messages ---- */

/* One string of a message, or the texts of a list of parts, behind what is there. */
static int append_string(struct json_texts *t, const char *value, size_t size, size_t *replaced)
{
    struct document checked = {0};
    long n = jsonwalk_is_string(value) ? decode(t, value, size, replaced) : -1;
    if (n < 0) return 0;
    documents_make_text(t->text + t->text_used, (size_t)n, &checked);
    *replaced += (size_t)checked.replaced;
    t->text_used += (size_t)n;
    return checked.kind != DOCUMENT_BAD;
}

static int append_content(struct json_texts *t, const char *value, size_t size, size_t *replaced)
{
    struct jsonwalk_item part, field;
    if (!jsonwalk_is_array(value)) return append_string(t, value, size, replaced);
    for (size_t at = 0; jsonwalk_next(value, size, &at, &part);) {
        int found = 0;
        if (!jsonwalk_is_object(part.value)) return 0;
        for (size_t in = 0; jsonwalk_next(part.value, part.size, &in, &field);)
            if (jsonwalk_key_is(&field, "text", 4) && !found++ &&
                !append_string(t, field.value, field.size, replaced))
                return 0;
        if (!found) return 0; /* an image, say */
    }
    return 1;
}

/* Names that others gave to the three roles. */
static const char *role_name(const char *role)
{
    if (strcmp(role, "human") == 0) return "user";
    if (strcmp(role, "gpt") == 0 || strcmp(role, "bot") == 0) return "assistant";
    return role;
}

static int read_message(struct json_texts *t, const struct jsonwalk_item *item,
                        struct document_message *m, size_t *replaced)
{
    struct jsonwalk_item field, role = {0}, content = {0};
    if (!jsonwalk_is_object(item->value)) return 0;
    for (size_t at = 0; jsonwalk_next(item->value, item->size, &at, &field);) {
        if (jsonwalk_key_is(&field, "role", 4) || jsonwalk_key_is(&field, "from", 4)) role = field;
        if (jsonwalk_key_is(&field, "content", 7) || jsonwalk_key_is(&field, "value", 5))
            content = field;
    }
    if (!role.value || !content.value || !jsonwalk_is_string(role.value)) return 0;
    size_t begin = t->text_used;
    if (!append_string(t, role.value, role.size, replaced)) return 0;
    t->text[t->text_used++] = '\0'; /* quotes made room for it */
    m->role = role_name(t->text + begin);
    m->role_size = strlen(m->role);
    begin = t->text_used;
    if (!append_content(t, content.value, content.size, replaced)) return 0;
    m->content = t->text + begin;
    m->content_size = t->text_used - begin;
    t->text[t->text_used++] = '\0';
    return 1;
}

static int add_chat(struct json_texts *t, const char *list, size_t size)
{
    struct document document = {.kind = DOCUMENT_CHAT, .size = size};
    struct jsonwalk_item item;
    size_t replaced = 0, first = t->messages_used;
    int said = 0;
    for (size_t at = 0; jsonwalk_next(list, size, &at, &item); document.count++) {
        int result = grow(&t->messages, t->messages_used, &t->messages_room, sizeof *t->messages);
        if (result != ERR_OK) return result;
        struct document_message *m = &t->messages[t->messages_used];
        if (!read_message(t, &item, m, &replaced)) {
            t->messages_used = first;
            return add_bad(t, ENGINE_SKIP_FIELD, "a message without a role and a text");
        }
        said |= !bytes_blank(m->content, m->content_size);
        t->messages_used++;
    }
    document.replaced = replaced > 0;
    return said ? add(t, &document, first) : ERR_OK;
}

/* ---- token ids ---- */

static int add_tokens(struct json_texts *t, const char *list, size_t size)
{
    struct document document = {.kind = DOCUMENT_TOKENS, .size = size};
    struct jsonwalk_item item;
    size_t first = t->tokens_used;
    int64_t most = t->options->vocabulary ? t->options->vocabulary : (int64_t)INT32_MAX + 1;
    for (size_t at = 0; jsonwalk_next(list, size, &at, &item); document.count++) {
        int64_t id = -1;
        int result = grow(&t->tokens, t->tokens_used, &t->tokens_room, sizeof *t->tokens);
        if (result != ERR_OK) return result;
        if (!jsonwalk_integer(item.value, item.size, &id) || id < 0 || id >= most) {
            t->tokens_used = first;
            return add_bad(t, ENGINE_SKIP_FIELD, "a token id that is not of the vocabulary");
        }
        t->tokens[t->tokens_used++] = (int32_t)id;
    }
    return add(t, &document, first);
}

/* ---- the field ---- */

static int add_leaf(struct json_texts *t, const char *value, size_t size, int depth);

static int add_list(struct json_texts *t, const char *list, size_t size, int depth)
{
    struct jsonwalk_item item;
    size_t at = 0;
    if (!jsonwalk_next(list, size, &at, &item))
        return add_bad(t, ENGINE_SKIP_FIELD, "an empty list in the field");
    if (depth > DEEPEST_LIST)
        return add_bad(t, ENGINE_SKIP_FIELD, "lists within lists without end");
    int texts = !t->options->tokens_field;
    if (texts && jsonwalk_is_object(item.value)) return add_chat(t, list, size);
    if (!texts && !jsonwalk_is_array(item.value)) return add_tokens(t, list, size);
    int result = ERR_OK;
    for (at = 0; result == ERR_OK && jsonwalk_next(list, size, &at, &item);)
        result = add_leaf(t, item.value, item.size, depth + 1);
    return result;
}

/* What the field holds. */
static int add_leaf(struct json_texts *t, const char *value, size_t size, int depth)
{
    int texts = !t->options->tokens_field;
    if (texts && jsonwalk_is_string(value)) return add_text(t, value, size);
    if (jsonwalk_is_array(value)) return add_list(t, value, size, depth);
    return add_bad(t, ENGINE_SKIP_FIELD,
                   texts ? "no string in the text field" : "no token ids in the field");
}

/* The member that a path names or begins with; a key that is the whole path comes first, of equal
 * ones the last. *rest: what is left of the path. */
static int find_member(const char *object, size_t size, const char *path,
                       struct jsonwalk_item *found, const char **rest)
{
    struct jsonwalk_item item;
    int best = 0;
    for (size_t at = 0; jsonwalk_next(object, size, &at, &item);) {
        if (jsonwalk_key_is(&item, path, strlen(path))) {
            *found = item;
            *rest = "";
            best = 2;
        }
        for (const char *dot = path; best < 2 && (dot = strchr(dot, '.')); dot++) {
            if (!jsonwalk_key_is(&item, path, (size_t)(dot - path))) continue;
            *found = item;
            *rest = dot + 1;
            best = 1;
        }
    }
    return best > 0;
}

static int follow(struct json_texts *t, const char *value, size_t size, const char *path, int depth)
{
    struct jsonwalk_item item;
    const char *rest;
    if (!path[0]) return add_leaf(t, value, size, depth);
    if (jsonwalk_is_object(value) && find_member(value, size, path, &item, &rest))
        return follow(t, item.value, item.size, rest, depth);
    if (!jsonwalk_is_array(value) || depth > DEEPEST_LIST)
        return add_bad(t, ENGINE_SKIP_FIELD, "no field of that name");
    int result = ERR_OK, items = 0;
    for (size_t at = 0; result == ERR_OK && jsonwalk_next(value, size, &at, &item); items++)
        result = follow(t, item.value, item.size, path, depth + 1);
    if (result == ERR_OK && items == 0)
        result = add_bad(t, ENGINE_SKIP_FIELD, "an empty list on the way to the field");
    return result;
}

/* ---- names of fields ---- */

/* Whether a value, or the first item of a list, is what is looked for. */
static int holds_wanted(const struct json_texts *t, const char *value, size_t size, int depth)
{
    struct jsonwalk_item item, field;
    size_t at = 0, in = 0;
    if (!t->options->tokens_field && jsonwalk_is_string(value)) return 1;
    if (!jsonwalk_is_array(value) || depth > 2 || !jsonwalk_next(value, size, &at, &item)) return 0;
    if (t->options->tokens_field && item.value[0] >= '0' && item.value[0] <= '9') return 1;
    while (!t->options->tokens_field && jsonwalk_is_object(item.value) &&
           jsonwalk_next(item.value, item.size, &in, &field))
        if (jsonwalk_key_is(&field, "role", 4) || jsonwalk_key_is(&field, "from", 4)) return 1;
    return holds_wanted(t, item.value, item.size, depth + 1);
}

static void list_fields(struct json_texts *t, const char *value, size_t size, const char *above,
                        int depth)
{
    struct jsonwalk_item item;
    char path[128];
    size_t at = 0;
    if (depth > 3) return;
    if (jsonwalk_is_array(value)) {
        if (jsonwalk_next(value, size, &at, &item))
            list_fields(t, item.value, item.size, above, depth + 1);
        return;
    }
    while (jsonwalk_is_object(value) && jsonwalk_next(value, size, &at, &item)) {
        int n = snprintf(path, sizeof path, "%s%s%.*s", above, above[0] ? "." : "",
                         (int)item.key_size - 2, item.key + 1);
        size_t used = strlen(t->fields);
        if (n >= (int)sizeof path || used + (size_t)n + 3 > sizeof t->fields) continue;
        if (holds_wanted(t, item.value, item.size, 0))
            sprintf(t->fields + used, "%s%s", used ? ", " : "", path);
        else
            list_fields(t, item.value, item.size, path, depth + 1);
    }
}

/* ---- one value ---- */

static int read_value(struct json_texts *t, const char *value, size_t size)
{
    const char *field =
        t->options->tokens_field ? t->options->tokens_field : t->options->text_field;
    if (jsonwalk_is_string(value) && !t->options->tokens_field) return add_text(t, value, size);
    if (jsonwalk_is_object(value)) return follow(t, value, size, field, 0);
    return add_bad(t, ENGINE_SKIP_FIELD, "neither an object nor a string");
}

int json_texts_read(struct json_texts *t, const char *value, size_t size)
{
    t->count = t->next = t->text_used = t->tokens_used = t->messages_used = 0;
    t->fields[0] = '\0';
    t->value_size = size;
    if (size > t->text_room) {
        free(t->text);
        t->text = malloc(size);
        t->text_room = t->text ? size : 0;
        if (!t->text) return err_set(ERR_NOMEM, "no memory for a document");
    }
    int result = read_value(t, value, size);
    if (t->count > 0 && t->items[0].kind == DOCUMENT_BAD && t->items[0].skip == ENGINE_SKIP_FIELD)
        list_fields(t, value, size, "", 0);
    return result;
}

int json_texts_next(struct json_texts *t, struct document *document)
{
    if (t->next == t->count) return 0;
    const struct json_text_item *item = &t->items[t->next++];
    *document = (struct document){.kind = item->kind,
                                  .size = item->size,
                                  .count = item->count,
                                  .replaced = item->replaced,
                                  .skip = item->skip,
                                  .reason = item->reason};
    if (document->kind == DOCUMENT_TEXT) document->text = t->text + item->text;
    if (document->kind == DOCUMENT_CHAT) document->messages = t->messages + item->first;
    if (document->kind == DOCUMENT_TOKENS) document->tokens = t->tokens + item->first;
    return 1;
}

void json_texts_free(struct json_texts *t)
{
    free(t->items);
    free(t->text);
    free(t->tokens);
    free(t->messages);
}
