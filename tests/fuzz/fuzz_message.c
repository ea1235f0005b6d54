/*
 * libFuzzer: whatever arrives as a control message. The first byte says what the fuzzer is spared
 * from guessing: bit 0 puts a good magic, version and checksum on the header, bit 1 a good length
 * and checksum of the text; the rest is the message. One that is taken is written back as the same
 * bytes.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/bytes.h"
#include "proto/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER_SPARED = 1, TEXT_SPARED = 2 };

static void need(int good)
{
    if (!good) abort();
}

static void spare(uint8_t what, uint8_t *bytes, size_t size)
{
    if (size < MESSAGE_HEADER_BYTES || !(what & HEADER_SPARED)) return;
    memcpy(bytes, "SLMS\1\0\0\1", 8);
    if (what & TEXT_SPARED) {
        size_t text = size - MESSAGE_HEADER_BYTES;
        put_le32(bytes + 192, (uint32_t)text);
        put_le64(bytes + 200, XXH3_64bits(bytes + MESSAGE_HEADER_BYTES, text));
    }
    put_le64(bytes + 248, XXH3_64bits(bytes, 248));
}

static void receive(const uint8_t *bytes, size_t size)
{
    struct message m;
    if (message_decode(bytes, size, &m)) return;
    need(message_bytes(&m) == size);
    need(m.text_bytes <= message_max_text(m.type));
    need(m.text_bytes == 0 || m.text == (const char *)bytes + MESSAGE_HEADER_BYTES);
    need(strnlen(m.name, sizeof m.name) < sizeof m.name);
    uint8_t *again = malloc(size);
    need(message_encode(&m, again) == 0);
    need(memcmp(again, bytes, size) == 0);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    uint8_t *bytes = malloc(size > 1 ? size - 1 : 1); /* a sanitizer sees a byte too far */
    memcpy(bytes, data + 1, size - 1);
    spare(data[0], bytes, size - 1);
    receive(bytes, size - 1);
    free(bytes);
    return 0;
}
