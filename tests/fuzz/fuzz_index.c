/* Any bytes as the files of a feature index: refused, or all that they tell lies inside them. */
#include "base/err.h"
#include "engine/fingerprint.h"
#include "inspect/index.h"
#include "inspect/labels.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Memory of its own, so that a read beyond is seen. */
static void *copy_of(const uint8_t *data, size_t bytes)
{
    void *copy = malloc(bytes + 1);
    if (!copy) abort();
    memcpy(copy, data, bytes);
    ((char *)copy)[bytes] = '\0';
    return copy;
}

static void table(const uint8_t *data, size_t bytes)
{
    struct index_facts facts = {.features = (uint32_t)(bytes / sizeof(struct index_entry)),
                                .kept_rows = 1000,
                                .tokens = 50};
    struct index_entry *entry = malloc(facts.features * sizeof *entry + 1);
    if (!entry) abort();
    memcpy(entry, data, facts.features * sizeof *entry);
    for (uint32_t f = 0; f < facts.features; f++) facts.data_bytes += entry[f].bytes;
    if (index_check_table(&facts, entry, "table") == ERR_OK)
        for (uint32_t f = 0; f < facts.features; f++)
            if (entry[f].offset + entry[f].bytes > facts.data_bytes || entry[f].token >= 50)
                abort();
    free(entry);
}

static void tokens(const uint8_t *data, size_t bytes)
{
    struct index_facts facts = {.tokens_bytes = bytes};
    if (bytes < sizeof(uint32_t)) return;
    facts.tokens = data[0] % (bytes / sizeof(uint32_t));
    uint32_t *at = copy_of(data, bytes);
    size_t texts = bytes - (facts.tokens + 1) * sizeof *at;
    if (index_check_tokens(&facts, at, "tokens") == ERR_OK)
        for (uint32_t t = 0; t < facts.tokens; t++)
            if (at[t + 1] > texts || at[t] > at[t + 1]) abort();
    free(at);
}

static void sheet(const uint8_t *data, size_t bytes)
{
    const struct index_facts facts = {.features = 4};
    struct index_entry entry = {.bytes = (uint32_t)bytes, .hash = fingerprint_add(0, data, bytes)};
    json_t *o;
    for (entry.raw_bytes = 0; entry.raw_bytes < 4096; entry.raw_bytes = 2 * entry.raw_bytes + 1)
        if (index_parse_sheet(&facts, &entry, 0, data, "data", &o) == ERR_OK) json_decref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct index_facts facts;
    struct labels labels;
    if (index_facts_parse((const char *)data, bytes, "index.json", &facts) == ERR_OK &&
        (facts.hooks == 0 || facts.kept_rows > facts.rows))
        abort();
    if (labels_parse(copy_of(data, bytes), bytes, 100, "labels.tsv", &labels) == ERR_OK)
        labels_free(&labels);
    table(data, bytes);
    tokens(data, bytes);
    sheet(data, bytes);
    return 0;
}
