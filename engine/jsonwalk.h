/*
 * Walking over JSON without building it: where a value ends, what lies in it, what a string says.
 *
 * It serves files that other programs wrote, of which one field is wanted. So whatever stands
 * beside that field is passed over: numbers of any size, NaN and Infinity (as Python writes them),
 * lone surrogates, bytes that are not UTF-8, keys that come twice, nesting of any depth. The
 * structure is checked as strictly as JSON has it.
 */
#ifndef SLUICE_ENGINE_JSONWALK_H
#define SLUICE_ENGINE_JSONWALK_H

#include <stddef.h>
#include <stdint.h>

enum jsonwalk_status {
    JSONWALK_WHOLE,
    JSONWALK_CUT,    /* right so far, and the text ends inside the value */
    JSONWALK_BROKEN, /* not JSON (or no memory to tell) */
};

/* White space at the front of text, a byte order mark among it. */
size_t jsonwalk_space(const char *text, size_t size);

/* Walk over the value at text[0]; *length becomes what it has where it is whole. A number's end is
 * seen at the next character only, so one that reaches the text's end is JSONWALK_CUT unless
 * `ended`. */
enum jsonwalk_status jsonwalk_skip(const char *text, size_t size, int ended, size_t *length);

/* What a value is; its text must be whole. */
static inline int jsonwalk_is_object(const char *value)
{
    return value[0] == '{';
}
static inline int jsonwalk_is_array(const char *value)
{
    return value[0] == '[';
}
static inline int jsonwalk_is_string(const char *value)
{
    return value[0] == '"';
}

struct jsonwalk_item {
    const char *key; /* with its quotes; NULL in an array */
    size_t key_size;
    const char *value;
    size_t size;
};

/* Items of a whole object or array, one after another: start with *at = 0; 0 after the last. */
int jsonwalk_next(const char *value, size_t size, size_t *at, struct jsonwalk_item *item);

/* Decode a string (with its quotes) into out, which has room for `size` bytes; a lone surrogate
 * becomes U+FFFD and is counted. Gives the bytes written, or -1 where an escape is none. UTF-8 is
 * not checked. */
long jsonwalk_decode(const char *string, size_t size, char *out, size_t *replaced);

/* Whether an item's key is `text`. */
int jsonwalk_key_is(const struct jsonwalk_item *item, const char *text, size_t size);

/* A whole number that an int64_t holds; 0 where it is something else. */
int jsonwalk_integer(const char *value, size_t size, int64_t *number);

#endif
