/*
 * Any bytes as a checkpoint: refused, or every section lies inside them and an SAE's parts are
 * refused or taken up. Checksums stop nearly all inputs at the door, so they are made right first:
 * what a checksum can't stop is the bytes of somebody who can compute one.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/err.h"
#include "sae/checkpoint.h"
#include "sae/sae.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void put_u64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

/* Right checksums for every section header that the lengths lead to, and a right end. */
static void mend(uint8_t *file, size_t bytes)
{
    uint64_t hashes[64];
    size_t sections = 0;
    put_u64(file + 56, XXH3_64bits(file, 56));
    for (size_t at = 64; at + 64 <= bytes && sections < 64;) {
        uint8_t *header = file + at;
        uint64_t length, hash;
        memcpy(&length, header + 40, sizeof length);
        if (header[0] == '\0')
            put_u64(header + 48, XXH3_64bits(hashes, sections * 8));
        else if (length <= bytes - at - 64)
            put_u64(header + 48, XXH3_64bits(header + 64, length));
        hash = XXH3_64bits(header, 56);
        put_u64(header + 56, hash);
        hashes[sections++] = hash;
        if (header[0] == '\0' || length > bytes - at - 64) return;
        at += 64 + (length + 63) / 64 * 64;
    }
}

/* What was taken up can be trained on: no weight is infinite or no number. */
static void check_finite(const struct sae *sae)
{
    struct sae_parameters p = sae_parameters(sae);
    for (int i = 0; i < 3; i++)
        if (!isfinite(p.b_enc[i])) abort();
    for (int i = 0; i < 2; i++)
        if (!isfinite(p.b_dec[i])) abort();
}

static void load_into(const struct checkpoint *c)
{
    struct sae_options o, saved = {.arch = SAE_TOPK};
    struct sae *sae;
    sae_saved_options(c, "sae.0", &saved);
    enum sae_arch arch = saved.arch, like = saved.activation;
    sae_options_default(arch, &o);
    if (like == SAE_L1 || like == SAE_TOPK || like == SAE_BATCHTOPK) o.activation = like;
    o.width = 2;
    if (arch == SAE_TRANSCODER) o.width_in = 1;
    if (arch == SAE_TRANSCODER) o.skip = saved.skip == 1;
    if (arch == SAE_CROSSCODER) o.hooks = 2;
    o.features = 3;
    o.k = sae_keeps_largest(&o) ? 1 : 0;
    o.levels = 2;
    o.batch_rows = 4;
    if (sae_new(&o, &sae) != ERR_OK) abort();
    int loaded = sae_load(sae, c, "sae.0") == ERR_OK;
    if (loaded && arch != SAE_COUNT) check_finite(sae);
    sae_count_of(sae, 1, 2);
    sae_free(sae);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 1) return 0;
    int mended = data[0] & 1;

    size_t size = bytes - 1;
    uint8_t *file = aligned_alloc(64, (size + 64) / 64 * 64);
    if (!file) return 0;
    memcpy(file, data + 1, size);
    if (mended && size >= 128) mend(file, size);
    uint8_t *exact = malloc(size ? size : 1); /* so that a sanitizer sees the end; on 16 bytes */
    struct checkpoint *c;
    memcpy(exact, file, size);
    free(file);
    if (checkpoint_parse(exact, size, &c) == ERR_OK) {
        for (size_t i = 0; i < checkpoint_sections(c); i++) {
            const void *section;
            size_t n;
            if (checkpoint_find(c, checkpoint_section(c, i), &section, &n) != ERR_OK) abort();
            if ((const uint8_t *)section < exact || (const uint8_t *)section + n > exact + size)
                abort();
        }
        load_into(c);
        checkpoint_close(c);
    }
    free(exact);
    return 0;
}
