#include "proto/envelope.h"

#include "base/err.h"
#include "proto/bytes.h"

#include <string.h>
#include <xxhash.h>

enum { AT_MAGIC = 0, AT_VERSION = 4, AT_HEADER_BYTES = 6 };

const struct envelope envelope_frame = {{'S', 'L', 'F', 'R'}, 1, "frame"};
const struct envelope envelope_message = {{'S', 'L', 'M', 'S'}, 1, "message"};

void envelope_begin(const struct envelope *e, uint8_t *out)
{
    memset(out, 0, ENVELOPE_BYTES);
    memcpy(out + AT_MAGIC, e->magic, sizeof e->magic);
    put_le16(out + AT_VERSION, e->version);
    put_le16(out + AT_HEADER_BYTES, ENVELOPE_BYTES);
}

void envelope_seal(uint8_t *out)
{
    put_le64(out + ENVELOPE_AT_HASH, XXH3_64bits(out, ENVELOPE_AT_HASH));
}

int envelope_is(const struct envelope *e, const uint8_t *data, size_t size)
{
    return size >= sizeof e->magic && memcmp(data + AT_MAGIC, e->magic, sizeof e->magic) == 0;
}

int envelope_check(const struct envelope *e, const uint8_t *data, size_t size)
{
    if (size < ENVELOPE_BYTES || !envelope_is(e, data, size))
        return err_set(ERR_FORMAT, "%zu bytes that are not a %s", size, e->what);
    if (get_le16(data + AT_VERSION) != e->version)
        return err_set(ERR_VERSION,
                       "%s of version %u, this build reads %d; HINT: run the same release of "
                       "sluice on both ends",
                       e->what, get_le16(data + AT_VERSION), e->version);
    if (get_le16(data + AT_HEADER_BYTES) != ENVELOPE_BYTES)
        return err_set(ERR_FORMAT, "%s header of %u bytes, version %d has %d", e->what,
                       get_le16(data + AT_HEADER_BYTES), e->version, ENVELOPE_BYTES);
    if (get_le64(data + ENVELOPE_AT_HASH) != XXH3_64bits(data, ENVELOPE_AT_HASH))
        return err_set(ERR_CHECKSUM, "%s header does not match its checksum", e->what);
    return ERR_OK;
}
