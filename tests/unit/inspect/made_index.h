/* Feature indexes out of sheets and words that a test makes up. */
#ifndef SLUICE_TESTS_INSPECT_MADE_INDEX_H
#define SLUICE_TESTS_INSPECT_MADE_INDEX_H

#include "tests/unit/engine/support.h"

#include "inspect/deflate.h"
#include "inspect/index_writer.h"
#include "inspect/vocabulary.h"

struct made_word {
    const char *text;
    size_t bytes;
};

/* struct texts' .text of words: `of` is the first of them. */
__attribute__((unused)) static size_t made_text(const void *of, int32_t token, char *out,
                                                size_t bytes)
{
    const struct made_word *word = (const struct made_word *)of + token;
    assert_true(word->bytes < bytes);
    memcpy(out, word->text, word->bytes);
    return word->bytes;
}

/* The next feature: its entry (but raw_bytes) and its sheet. */
__attribute__((unused)) static void made_add(struct index_writer *writer, struct index_entry entry,
                                             const char *sheet)
{
    void *packed;
    size_t bytes;
    entry.raw_bytes = (uint32_t)strlen(sheet);
    assert_int_equal(deflate_pack(sheet, strlen(sheet), &packed, &bytes), ERR_OK);
    assert_int_equal(index_writer_add(writer, entry, packed, bytes), ERR_OK);
    free(packed);
}

/* All features were added: the words (NULL: none), and what the index is of. */
__attribute__((unused)) static void made_end(const char *where, struct index_writer *writer,
                                             const struct texts *words, struct index_facts *facts)
{
    assert_int_equal(index_writer_sync(writer), ERR_OK);
    assert_int_equal(index_writer_hash(writer, &facts->table_hash), ERR_OK);
    facts->data_bytes = writer->bytes;
    index_writer_close(writer);
    if (words) assert_int_equal(vocabulary_write(where, words, facts), ERR_OK);
    assert_int_equal(index_facts_write(where, facts), ERR_OK);
}

#endif
