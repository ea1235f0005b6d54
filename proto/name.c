#include "proto/name.h"

#include <string.h>

int message_name_ok(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strnlen(name, MESSAGE_NAME_BYTES);
    return length > 0 && length < MESSAGE_NAME_BYTES && strspn(name, allowed) == length;
}
