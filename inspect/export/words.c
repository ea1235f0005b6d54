#include "inspect/export/words.h"

#include "engine/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHARACTER_BYTES = 4 };

/* Bytes of the character that text begins with; 0: it is none, or NUL, which databases refuse. */
static size_t character(const char *text, size_t size)
{
    for (size_t n = 1; n <= CHARACTER_BYTES && n <= size; n++)
        if (text[0] && utf8_valid(text, n)) return n;
    return 0;
}

/* Bytes of a character that is cut off, or 1: what one U+FFFD stands for, as in tokenizers. */
static size_t broken(const char *text, size_t size)
{
    for (size_t n = size < CHARACTER_BYTES - 1 ? size : CHARACTER_BYTES - 1; n > 1; n--) {
        char whole[CHARACTER_BYTES];
        memset(whole, '\x80', sizeof whole);
        memcpy(whole, text, n);
        for (size_t end = n + 1; end <= CHARACTER_BYTES; end++)
            if (character(whole, end) == end) return n;
    }
    return 1;
}

json_t *words_text(const char *text, size_t size, enum words_bytes bytes)
{
    char *out = malloc(size * CHARACTER_BYTES + 1);
    size_t used = 0;
    for (size_t at = 0; out && at < size;) {
        size_t n = character(text + at, size - at);
        if (n) {
            memcpy(out + used, text + at, n);
            used += n;
        } else if (bytes == WORDS_HEX) {
            n = 1;
            used += (size_t)sprintf(out + used, "\\x%02x", (unsigned char)text[at]);
        } else {
            n = broken(text + at, size - at);
            memcpy(out + used, "\xef\xbf\xbd", 3);
            used += 3;
        }
        at += n;
    }
    json_t *json = out ? json_stringn(out, used) : NULL;
    free(out);
    return json;
}

json_t *words_token(const struct index *index, int64_t token, enum words_bytes bytes)
{
    size_t size;
    char number[24];
    const char *text = index_token(index, token, &size);
    if (text && size) return words_text(text, size, bytes);
    snprintf(number, sizeof number, "#%" PRId64, token);
    return json_string(number);
}

/* What was left out, or is missing, is a gap. */
static int is_gap(const json_t *context, size_t i)
{
    return json_is_null(json_array_get(json_object_get(context, "tokens"), i)) ||
           json_is_null(json_array_get(json_object_get(context, "values"), i));
}

json_t *words_tokens(const struct index *index, const json_t *context, enum words_bytes bytes)
{
    json_t *list = json_array();
    const json_t *token;
    size_t i;
    json_array_foreach(json_object_get(context, "tokens"), i, token) json_array_append_new(
        list, is_gap(context, i) ? json_string(WORDS_GAP)
                                 : words_token(index, json_integer_value(token), bytes));
    return list;
}

json_t *words_values(const json_t *context)
{
    json_t *list = json_array(), *value;
    size_t i;
    json_array_foreach(json_object_get(context, "values"), i, value)
    {
        if (is_gap(context, i))
            json_array_append_new(list, json_integer(0));
        else
            json_array_append(list, value);
    }
    return list;
}

void words_promoted(const struct index *index, const json_t *sheet, int likelier, size_t most,
                    enum words_bytes bytes, json_t *texts, json_t *logits)
{
    const json_t *list = json_object_get(sheet, likelier ? "promotes" : "suppresses"), *o;
    size_t i;
    json_array_foreach(list, i, o)
    {
        if (i == most) break;
        json_array_append_new(
            texts, words_token(index, json_integer_value(json_object_get(o, "token")), bytes));
        json_array_append(logits, json_object_get(o, "logit"));
    }
}

double words_number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}
