#include "proto/message.h"

#include "base/err.h"
#include "proto/bytes.h"
#include "proto/envelope.h"

#include <xxhash.h>

/* A message's fixed part as PROTOCOL.md has it, within the envelope; the text follows it. */
_Static_assert((int)MESSAGE_HEADER_BYTES == (int)ENVELOPE_BYTES, "one length for both");
enum {
    AT_TYPE = 8,
    AT_RESERVED_8 = 9,
    AT_FLAGS = 12,
    AT_STREAM = 16,
    AT_SESSION = 24,
    AT_PRODUCER = 32,
    AT_SHARE_COUNT = 36,
    AT_EPOCH = 40,
    AT_CODE = 44,
    AT_NEXT_NUMBER = 48,
    AT_CREDIT = 56,
    AT_CURSOR = 64,
    AT_TOTALS = 96,
    AT_NAME = 128,
    AT_TEXT_BYTES = 192,
    AT_RESERVED_32 = 196,
    AT_TEXT_HASH = 200,
    AT_RESERVED = 208,
};

static const uint32_t known_flags =
    MESSAGE_MEASURE | MESSAGE_RESYNC | MESSAGE_ENDED | MESSAGE_STOP | MESSAGE_RETRY | MESSAGE_SHED;

uint64_t stream_key(const char *name)
{
    return XXH3_64bits(name, strlen(name));
}

static int needs_name(uint8_t type)
{
    return type == MESSAGE_HELLO || type == MESSAGE_ATTACH || type == MESSAGE_REPORT;
}

uint32_t message_max_text(uint8_t type)
{
    switch (type) {
    case MESSAGE_WELCOME:
    case MESSAGE_DESCRIBE:
        return MESSAGE_MAX_TEXT_BYTES;
    case MESSAGE_TELL:
        return MESSAGE_MAX_TELL_BYTES;
    case MESSAGE_HELLO:
        return MESSAGE_MAX_HELLO_BYTES;
    case MESSAGE_REPORT:
        return MESSAGE_MAX_REPORT_BYTES;
    case MESSAGE_REFUSE:
        return MESSAGE_MAX_REFUSE_BYTES;
    default:
        return 0;
    }
}

static int type_ok(uint8_t type)
{
    return type >= MESSAGE_HELLO && type <= MESSAGE_TELL;
}

/* A name is there where the type needs one, and good where it is there. */
static int name_ok(uint8_t type, const char *name)
{
    return name[0] == 0 ? !needs_name(type) : message_name_ok(name);
}

size_t message_bytes(const struct message *m)
{
    return MESSAGE_HEADER_BYTES + (size_t)m->text_bytes;
}

int message_encode(const struct message *m, uint8_t *out)
{
    if (!type_ok(m->type) || (m->flags & ~known_flags) ||
        m->text_bytes > message_max_text(m->type) || !name_ok(m->type, m->name))
        return err_set(ERR_LIMIT,
                       "message of type %u, flags 0x%x, %u bytes of text is out of bounds", m->type,
                       m->flags, m->text_bytes);
    envelope_begin(&envelope_message, out);
    out[AT_TYPE] = m->type;
    put_le32(out + AT_FLAGS, m->flags);
    put_le64(out + AT_STREAM, m->stream);
    put_le64(out + AT_SESSION, m->session);
    put_le32(out + AT_PRODUCER, m->producer);
    put_le32(out + AT_SHARE_COUNT, m->share_count);
    put_le32(out + AT_EPOCH, m->epoch);
    put_le32(out + AT_CODE, m->code);
    put_le64(out + AT_NEXT_NUMBER, m->next_number);
    put_le64(out + AT_CREDIT, m->credit);
    put_cursor(out + AT_CURSOR, &m->cursor);
    put_totals(out + AT_TOTALS, &m->totals);
    memcpy(out + AT_NAME, m->name, strlen(m->name));
    put_le32(out + AT_TEXT_BYTES, m->text_bytes);
    if (m->text_bytes) memcpy(out + MESSAGE_HEADER_BYTES, m->text, m->text_bytes);
    put_le64(out + AT_TEXT_HASH, XXH3_64bits(out + MESSAGE_HEADER_BYTES, m->text_bytes));
    envelope_seal(out);
    return ERR_OK;
}

static int check_types(const uint8_t *data)
{
    if (!type_ok(data[AT_TYPE]))
        return err_set(ERR_VERSION, "message of unknown type %u", data[AT_TYPE]);
    if (get_le32(data + AT_FLAGS) & ~known_flags)
        return err_set(ERR_VERSION, "message with unknown flags 0x%x", get_le32(data + AT_FLAGS));
    uint8_t reserved = 0;
    for (int i = AT_RESERVED_8; i < AT_FLAGS; i++) reserved |= data[i];
    for (int i = AT_RESERVED_32; i < AT_TEXT_HASH; i++) reserved |= data[i];
    for (int i = AT_RESERVED; i < ENVELOPE_AT_HASH; i++) reserved |= data[i];
    if (reserved || get_le32(data + AT_CURSOR + 28))
        return err_set(ERR_VERSION, "message with reserved bytes that are not zero");
    return ERR_OK;
}

static int check_name(const uint8_t *data)
{
    const char *name = (const char *)data + AT_NAME;
    size_t length = strnlen(name, MESSAGE_NAME_BYTES);
    uint8_t padding = 0;
    for (size_t i = length; i < MESSAGE_NAME_BYTES; i++) padding |= (uint8_t)name[i];
    if (padding || !name_ok(data[AT_TYPE], name))
        return err_set(ERR_FORMAT, "message of type %u with a bad name", data[AT_TYPE]);
    return ERR_OK;
}

static int check_text(const uint8_t *data, size_t size)
{
    uint32_t bytes = get_le32(data + AT_TEXT_BYTES);
    uint32_t most = message_max_text(data[AT_TYPE]);
    if (bytes > most)
        return err_set(ERR_LIMIT,
                       "message of type %u with %u bytes of text, at most %u are allowed",
                       data[AT_TYPE], bytes, most);
    if (size != MESSAGE_HEADER_BYTES + (size_t)bytes)
        return err_set(ERR_FORMAT, "message of %zu bytes, its header says %zu", size,
                       MESSAGE_HEADER_BYTES + (size_t)bytes);
    if (get_le64(data + AT_TEXT_HASH) != XXH3_64bits(data + MESSAGE_HEADER_BYTES, bytes))
        return err_set(ERR_CHECKSUM, "text of a message does not match its checksum");
    return ERR_OK;
}

int message_decode(const uint8_t *data, size_t size, struct message *m)
{
    int err = envelope_check(&envelope_message, data, size);
    if (!err) err = check_types(data);
    if (!err) err = check_name(data);
    if (!err) err = check_text(data, size);
    if (err) return err;
    m->type = data[AT_TYPE];
    m->flags = get_le32(data + AT_FLAGS);
    m->stream = get_le64(data + AT_STREAM);
    m->session = get_le64(data + AT_SESSION);
    m->producer = get_le32(data + AT_PRODUCER);
    m->share_count = get_le32(data + AT_SHARE_COUNT);
    m->epoch = get_le32(data + AT_EPOCH);
    m->code = get_le32(data + AT_CODE);
    m->next_number = get_le64(data + AT_NEXT_NUMBER);
    m->credit = get_le64(data + AT_CREDIT);
    get_cursor(data + AT_CURSOR, &m->cursor);
    get_totals(data + AT_TOTALS, &m->totals);
    memcpy(m->name, data + AT_NAME, MESSAGE_NAME_BYTES);
    m->text_bytes = get_le32(data + AT_TEXT_BYTES);
    m->text = m->text_bytes ? (const char *)data + MESSAGE_HEADER_BYTES : NULL;
    return ERR_OK;
}

int message_is_frame(const uint8_t *data, size_t size)
{
    return envelope_is(&envelope_frame, data, size);
}
