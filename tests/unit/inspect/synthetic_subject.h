/* Rows whose directions are known, and an SAE whose directions are these. */
#ifndef SLUICE_TESTS_INSPECT_SYNTHETIC_SUBJECT_H
#define SLUICE_TESTS_INSPECT_SYNTHETIC_SUBJECT_H

#include "tests/unit/engine/support.h"

#include "base/safetensors.h"
#include "engine/engine.h"
#include "engine/options.h"
#include "inspect/subject.h"
#include "sae/cpu/pool.h"

enum { KNOWN_FEATURES = 96, KNOWN_WIDTH = 96, KNOWN_ROWS = 6000, KNOWN_SEQUENCE = 32 };

static struct engine *known_engine(uint64_t rows)
{
    static char truth[256];
    struct engine *engine;
    snprintf(truth, sizeof truth, "%s", in_folder("truth.safetensors"));
    struct engine_options options = {
        .kind = ENGINE_SYNTHETIC,
        .share_count = 1,
        .synthetic = {.features = KNOWN_FEATURES,
                      .width = KNOWN_WIDTH,
                      .l0 = 4,
                      .zipf_exponent = 0.7,
                      .groups = 8,
                      .seed = 3,
                      .rows = rows,
                      .sequence_rows = KNOWN_SEQUENCE,
                      .truth_file = truth},
    };
    if (engine_open(&options, &engine) != ERR_OK) fail_msg("%s", err_text());
    return engine;
}

/* A relu SAE of them; what is common to two directions is below the bias. known_engine() first. */
static void known_subject(uint32_t threads, struct subject *s)
{
    struct sae_options o;
    struct safetensors *file;
    *s = (struct subject){.name = "known", .path = "known", .layout = "hooks", .hooks = 1};
    sae_options_default(SAE_L1, &o);
    assert_int_equal(pool_new(threads, &s->pool), ERR_OK);
    o.pool = s->pool;
    o.width = KNOWN_WIDTH;
    o.features = KNOWN_FEATURES;
    o.batch_rows = 64;
    assert_int_equal(encoder_new(&o, &s->model.encoder), ERR_OK);
    struct encoder *e = s->model.encoder;
    assert_int_equal(safetensors_open(in_folder("truth.safetensors"), &file), ERR_OK);
    const struct safetensors_tensor *t = safetensors_find(file, "directions");
    assert_int_equal(safetensors_to_f32(t, 0, KNOWN_FEATURES * KNOWN_WIDTH, e->w.w_dec), ERR_OK);
    memcpy(e->w.w_enc, e->w.w_dec, sizeof(float) * KNOWN_FEATURES * KNOWN_WIDTH);
    for (uint32_t f = 0; f < KNOWN_FEATURES; f++) e->w.b_enc[f] = -0.45F;
    safetensors_close(file);
    e->subtracts = 0;
    encoder_derive(e);
    snprintf(s->hook[0], sizeof s->hook[0], "synthetic");
    s->hook_width[0] = KNOWN_WIDTH;
    subject_finish(s);
}

/* A file of two folders of a test's has the same bytes. */
__attribute__((unused)) static void same_file(const char *a, const char *b, const char *file)
{
    char path[64], *data[2];
    size_t bytes[2];
    snprintf(path, sizeof path, "%s/%s", a, file);
    assert_int_equal(file_read(in_folder(path), 1 << 26, &data[0], &bytes[0]), ERR_OK);
    snprintf(path, sizeof path, "%s/%s", b, file);
    assert_int_equal(file_read(in_folder(path), 1 << 26, &data[1], &bytes[1]), ERR_OK);
    if (bytes[0] != bytes[1] || memcmp(data[0], data[1], bytes[0]) != 0)
        fail_msg("%s of %s and %s differ", file, a, b);
    free(data[0]);
    free(data[1]);
}

#endif
