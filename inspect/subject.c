#include "inspect/subject.h"

#include "base/err.h"
#include "engine/fingerprint.h"
#include "sae/cpu/pool.h"

#include <math.h>
#include <string.h>

static uint64_t mix(uint64_t hash, const float *values, size_t count)
{
    return values ? fingerprint_add(hash, values, count * sizeof *values) : hash;
}

/* What decides beside the weights which features are active: how many a row keeps, if it is that, and
 * whether b_dec is taken off first. An architecture is more than that, and the same SAE has another
 * once it is exported. */
static uint64_t mix_rule(uint64_t hash, const struct encoder *e)
{
    hash = fingerprint_add_u64(hash, e->arch->way == WAY_ROWS ? e->options->k : 0);
    return fingerprint_add_u64(hash, !!e->subtracts);
}

void subject_finish(struct subject *s)
{
    const struct encoder *e = s->model.encoder;
    size_t features = e->features;
    s->width = 0;
    for (uint32_t h = 0; h < s->hooks; h++) s->width += s->hook_width[h];
    uint64_t hash = mix(mix_rule(e->features, e), e->w.w_enc, features * e->width_in);
    hash = mix(hash, e->w.w_dec, features * e->width);
    hash = mix(hash, e->w.b_enc, features);
    hash = mix(hash, e->w.b_dec, e->width);
    hash = mix(hash, e->threshold, features);
    hash = mix(hash, e->w.r_mag, features);
    hash = mix(hash, e->w.b_mag, features);
    s->fingerprint = mix(hash, e->w.w_skip, (size_t)e->width * e->width_in);
}

void subject_close(struct subject *s)
{
    model_close(&s->model);
    pool_free(s->pool);
    *s = (struct subject){0};
}

int subject_encode(struct subject *s, const float *rows, uint64_t n, struct pairs *pairs)
{
    return encoder_pairs(s->model.encoder, rows, n, pairs);
}

void subject_decode(struct subject *s, const float *rows, const struct pairs *pairs, float *out)
{
    encoder_decode(s->model.encoder, rows, pairs, out);
}

int subject_keeps(const struct subject *s, int is_special, int is_first, const float *row)
{
    if ((is_special && !s->keeps_special) || (is_first && !s->keeps_first)) return 0;
    for (uint32_t h = 0; h < s->hooks; h++) {
        double square = 0, limit = s->hook_limit[h];
        for (uint32_t i = 0; i < s->hook_width[h]; i++) square += (double)row[i] * (double)row[i];
        if (!isfinite(square) || (limit > 0 && square > limit * limit)) return 0;
        row += s->hook_width[h];
    }
    return 1;
}

uint32_t subject_features(const struct subject *s)
{
    return s->model.encoder->features;
}

const float *subject_direction(const struct subject *s, uint32_t f)
{
    const struct encoder *e = s->model.encoder;
    return e->w.w_dec + (size_t)f * e->width;
}

int subject_is_dictionary(const struct subject *s, const char *what)
{
    const struct sae_options *o = s->model.encoder->options;
    if (o->arch != SAE_TRANSCODER && o->arch != SAE_CLT && o->arch != SAE_CROSSCODER) return ERR_OK;
    return err_set(
        ERR_USAGE,
        "%s is a %s, and %s needs a dictionary, which reads and writes one hook; HINT: "
        "`sluice inspect`, `sluice features` and `sluice trace` of a prompt or of two sets "
        "work with it",
        s->name, sae_arch_name(o->arch), what);
}
