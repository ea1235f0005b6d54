/* Folders of SAEs: what our exports wrote is read again, and gives the same features of raw rows;
 * what is wrong in a folder is told. (tests/interop has those that SAELens and sparsify wrote.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fileio.h"
#include "base/safetensors.h"
#include "sae/cpu/pool.h"
#include "sae/export/export.h"
#include "sae/import/import.h"

#include "helper.h"

enum { WIDTH = 12, FEATURES = 40, ROWS = 200, STEPS = 30 };

static char dir[] = "/tmp/sluice-import-XXXXXX";
static struct pool *pool;
static float scale[WIDTH], x[ROWS * WIDTH], raw[ROWS * WIDTH];

static struct sae *trained(int kind)
{
    struct rng rng;
    struct sae *sae;
    struct sae_step step;
    struct sae_options o = kind_options(kind, WIDTH);
    float directions[24 * WIDTH];
    o.features = FEATURES;
    o.k = 4;
    if (o.arch == SAE_TRANSCODER) o.width_in = WIDTH / 2;
    if (o.arch == SAE_MATRYOSHKA) o.levels = 2;
    o.batch_rows = ROWS;
    o.planned_steps = STEPS;
    o.learning_rate = 3e-3;
    o.pool = pool;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    rng_seed(&rng, (uint64_t)kind + 1);
    random_directions(&rng, directions, 24, WIDTH);
    for (int i = 0; i < STEPS; i++) {
        sparse_rows(&rng, directions, 24, WIDTH, 3, x, ROWS);
        assert_int_equal(sae_train(sae, &(struct sae_batch){x, NULL, ROWS}, &step), ERR_OK);
    }
    for (int i = 0; i < ROWS * WIDTH; i++) raw[i] = x[i] / scale[i % WIDTH];
    return sae;
}

/* Rows of raw values come out as the SAE's, divided by the scale. */
static void check_same(struct sae *sae, const struct model *m)
{
    const struct sae_options *o = sae_options(sae);
    uint32_t width = sae_out_width(o), at = o->width - width;
    float *own = malloc(sizeof *own * ROWS * width), *theirs = malloc(sizeof *own * ROWS * width);
    struct pairs pairs;
    double square = 0, error = 0;
    assert_int_equal(sae_forward(sae, x, ROWS, own, NULL), ERR_OK);
    assert_int_equal(encoder_pairs(m->encoder, raw, ROWS, &pairs), ERR_OK);
    encoder_decode(m->encoder, raw, &pairs, theirs);
    for (uint32_t r = 0; r < ROWS; r++)
        for (uint32_t i = 0; i < width; i++) {
            double wanted = own[r * width + i] / scale[at + i], is = theirs[r * width + i];
            square += wanted * wanted;
            error += (wanted - is) * (wanted - is);
        }
    if (!(sqrt(error) <= 1e-4 * sqrt(square)))
        fail_msg("%s/%s: off by %g of %g", sae_arch_name(o->arch), sae_arch_name(o->activation),
                 sqrt(error), sqrt(square));
    assert_true(pairs.count > 0);
    pairs_free(&pairs);
    free(own);
    free(theirs);
}

/* A row's features and what each adds to the reconstruction, |f| ||W_dec||, are the SAE's: scales
 * go from W_dec to f or back, which changes neither. Here all scales are one. */
static void check_pairs(struct sae *sae, const struct model *m)
{
    const struct sae_options *o = sae_options(sae);
    struct sae_parameters own = sae_parameters(sae);
    uint32_t width = sae_out_width(o);
    float *f = malloc(sizeof *f * ROWS * FEATURES), *out = malloc(sizeof *out * ROWS * width);
    struct pairs pairs;
    assert_int_equal(sae_forward(sae, x, ROWS, out, f), ERR_OK);
    assert_int_equal(encoder_pairs(m->encoder, raw, ROWS, &pairs), ERR_OK);
    for (uint32_t r = 0; r < ROWS; r++) {
        uint64_t at = pairs.start[r], end = pairs.start[r + 1];
        for (uint32_t i = 0; i < FEATURES; i++) {
            double a = 0, b = 0, wanted = f[(size_t)r * FEATURES + i];
            double is = at < end && pairs.feature[at] == i ? pairs.value[at++] : 0;
            for (uint32_t c = 0; c < width; c++) {
                a += pow(own.w_dec[(size_t)i * width + c], 2);
                b += pow(m->encoder->w.w_dec[(size_t)i * width + c], 2);
            }
            wanted *= sqrt(a) / scale[0];
            is *= sqrt(b);
            if (!(fabs(wanted - is) <= 1e-5 * fmax(1, fabs(wanted)) / scale[0]))
                fail_msg("%s/%s: row %u, feature %u adds %g, not %g", sae_arch_name(o->arch),
                         sae_arch_name(o->activation), r, i, is, wanted);
        }
        assert_int_equal(at, end);
    }
    pairs_free(&pairs);
    free(f);
    free(out);
}

static void what_we_export_is_read(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
    static const char *const layouts[] = {"saelens", "sparsify", "hooks"};
    int read[3] = {0};
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct sae *sae = trained(kind);
        const struct sae_options *o = sae_options(sae);
        int crosses = o->arch == SAE_CROSSCODER || o->arch == SAE_CLT;
        struct export_options options = {.scale = scale,
                                         .model_name = "smol",
                                         .hook_name = "resid_post.15",
                                         .context_tokens = 256,
                                         .prepends_bos = 1,
                                         .hook_name_out = "mlp_out.15",
                                         .hook_names = names};
        for (int l = 0; l < 3; l++) {
            const struct export_layout *layout = export_layout(layouts[l]);
            char place[256];
            struct model model;
            struct import_facts facts;
            if (!layout->has(o)) continue;
            snprintf(place, sizeof place, "%s/%s-%d", dir, layout->name, kind);
            assert_int_equal(layout->write(sae_view(sae), &options, place), ERR_OK);
            if (import_open(place, pool, &model, &facts) != ERR_OK) fail_msg("%s", err_text());
            assert_string_equal(facts.layout, layout->name);
            assert_string_equal(facts.model_name, "smol");
            assert_true(facts.context_tokens == 256 && facts.prepends_bos == 1);
            if (l == 2) {
                char in[64] = "", out[64] = "";
                for (uint32_t h = 0; h < o->hooks; h++) {
                    snprintf(in + strlen(in), 8, "%s%s", h ? "," : "", names[h]);
                    if (o->arch == SAE_CLT)
                        snprintf(out + strlen(out), 8, "%s%s", h ? "," : "", names[o->hooks + h]);
                }
                assert_string_equal(facts.hook_name, crosses ? in : "resid_post.15");
                assert_string_equal(facts.hook_name_out, crosses ? out : "mlp_out.15");
            }
            check_same(sae, &model);
            check_pairs(sae, &model);
            model_close(&model);
            read[l]++;
        }
        sae_free(sae);
    }
    /* l1, topk, batchtopk, matryoshka, jumprelu, gated, transcoders of l1 and batchtopk */
    assert_int_equal(read[0], 8);
    assert_int_equal(read[1], 2); /* topk, a transcoder of it */
    assert_int_equal(read[2], 8); /* transcoders, crosscoders and clts */
}

static void put(const char *place, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", place, name);
    assert_int_equal(file_replace(path, text, strlen(text)), ERR_OK);
}

static void put_weights(const char *place, float value, uint64_t rows)
{
    char path[256];
    static float values[64];
    for (int i = 0; i < 64; i++) values[i] = value;
    struct safetensors_tensor tensors[] = {
        {"W_enc", SAFETENSORS_F32, 2, {2, rows}, values, 2 * rows * 4},
        {"W_dec", SAFETENSORS_F32, 2, {3, 2}, values, 24},
        {"b_enc", SAFETENSORS_F32, 1, {3}, values, 12},
        {"b_dec", SAFETENSORS_F32, 1, {2}, values, 8},
    };
    snprintf(path, sizeof path, "%s/sae_weights.safetensors", place);
    assert_int_equal(safetensors_write(path, tensors, 4, NULL, 0), ERR_OK);
}

struct wrong { /* a cfg.json; what opening its folder gives, and says */
    const char *cfg;
    int result;
    const char *says;
};

static void check_cases(const char *place, const struct wrong *cases, size_t count)
{
    struct model model;
    struct import_facts facts;
    for (size_t i = 0; i < count; i++) {
        put(place, "cfg.json", cases[i].cfg);
        int result = import_open(place, pool, &model, &facts);
        if (result != cases[i].result || (result && !strstr(err_text(), cases[i].says)))
            fail_msg("%s gives %d: %s", cases[i].cfg, result, result ? err_text() : "");
        if (!result) model_close(&model);
    }
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    static const struct wrong cases[] = {
        {"{\"architecture\": \"standard\", \"d_in\": 2, \"d_sae\": 3}", ERR_OK, ""},
        {"{\"architecture\": \"standard\", \"d_in\": 2, \"d_sae\": 4}", ERR_FORMAT, "W_enc"},
        {"{\"architecture\": \"standard\", \"d_in\": 2}", ERR_FORMAT, "d_sae"},
        {"{\"architecture\": \"standard\", \"d_in\": -1, \"d_sae\": 3}", ERR_FORMAT, "d_in"},
        {"{\"architecture\": \"standard\", \"d_in\": 2, \"d_sae\": 1e99}", ERR_FORMAT, "d_sae"},
        {"{\"architecture\": \"standard\", \"d_in\": 1048576, \"d_sae\": 16777216}", ERR_FORMAT,
         "W_enc has not the shape"},
        {"{\"architecture\": \"jumprelu_transcoder\", \"d_in\": 2, \"d_out\": 2, \"d_sae\": 3}",
         ERR_FORMAT, "no tensor threshold"},
        {"{\"architecture\": \"transcoder\", \"d_in\": 2, \"d_out\": 2, \"d_sae\": 3, "
         "\"apply_b_dec_to_input\": true}",
         ERR_VERSION, "apply_b_dec_to_input"},
        {"{\"architecture\": \"topk\", \"d_in\": 2, \"d_sae\": 3}", ERR_FORMAT, "k is not"},
        {"{\"architecture\": \"topk\", \"k\": 4, \"d_in\": 2, \"d_sae\": 3}", ERR_FORMAT,
         "from 1 to 3"},
        {"{\"architecture\": \"jumprelu\", \"d_in\": 2, \"d_sae\": 3}", ERR_FORMAT,
         "no tensor threshold"},
        {"{\"architecture\": \"temporal\", \"d_in\": 2, \"d_sae\": 3}", ERR_VERSION,
         "'temporal' is not read"},
        {"{\"architecture\": \"transcoder\", \"d_in\": 2, \"d_sae\": 3}", ERR_FORMAT, "d_out"},
        {"{\"d_in\": 2, \"d_sae\": 3}", ERR_FORMAT, "no architecture"},
        {"{\"architecture\": \"standard\", \"normalize_activations\": \"layer_norm\", \"d_in\": 2, "
         "\"d_sae\": 3}",
         ERR_VERSION, "normalize_activations is 'layer_norm'"},
        {"{\"architecture\": \"standard\", \"reshape_activations\": \"hook_z\", \"d_in\": 2, "
         "\"d_sae\": 3}",
         ERR_VERSION, "reshape_activations"},
        {"[]", ERR_FORMAT, "no JSON object"},
        {"{\"architecture\": ", ERR_FORMAT, "cfg.json"},
    };
    char place[256];
    struct model model;
    struct import_facts facts;
    snprintf(place, sizeof place, "%s/wrong", dir);
    assert_int_equal(dir_make(place, 0700), ERR_OK);
    assert_int_equal(import_open(place, pool, &model, &facts), ERR_NOTFOUND);
    put_weights(place, 0.5f, 3);
    check_cases(place, cases, sizeof cases / sizeof cases[0]);
    put(place, "cfg.json", cases[0].cfg);
    put_weights(place, NAN, 3);
    assert_int_equal(import_open(place, pool, &model, &facts), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "W_enc holds"));
    put_weights(place, 1, 4);
    assert_int_equal(import_open(place, pool, &model, &facts), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "not the shape (2, 3)"));
    put(place, "sae_weights.safetensors", "no tensors at all");
    assert_int_equal(import_open(place, pool, &model, &facts), ERR_LIMIT);
}

/* A folder of our own layout, of one hook in and another out, or of two that cross. */
/* How its rows were made is taken as it is told, and not made up where it is not. */
static void contexts_are_told_or_not(void **state)
{
    static const struct {
        const char *metadata;
        uint32_t context_tokens;
        int prepends_bos;
    } cases[] = {
        {"\"context_size\": 128, \"prepend_bos\": false", 128, 0},
        {"\"context_size\": 1, \"prepend_bos\": true", 1, 1},
        {"\"context_size\": 0, \"prepend_bos\": null", 0, -1},
        {"\"context_size\": -5, \"prepend_bos\": 1", 0, -1},
        {"\"context_size\": 99999999999", 0, -1},
    };
    char place[256], cfg[512];
    struct model model;
    struct import_facts facts;
    (void)state;
    snprintf(place, sizeof place, "%s/told", dir);
    assert_int_equal(dir_make(place, 0700), ERR_OK);
    put_weights(place, 0.5F, 3);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        const char *below = i % 2 ? "" : "\"metadata\": {", *end = i % 2 ? "" : "}";
        snprintf(cfg, sizeof cfg,
                 "{\"architecture\": \"standard\", \"d_in\": 2, \"d_sae\": 3, %s%s%s}", below,
                 cases[i / 2].metadata, end);
        put(place, "cfg.json", cfg);
        if (import_open(place, pool, &model, &facts) != ERR_OK) fail_msg("%s", err_text());
        model_close(&model);
        assert_int_equal(facts.context_tokens, cases[i / 2].context_tokens);
        assert_int_equal(facts.prepends_bos, cases[i / 2].prepends_bos);
    }
}

static void put_hooks(const char *place)
{
    char path[300];
    static float values[16];
    struct safetensors_tensor tensors[] = {
        {"W_enc.0", SAFETENSORS_F32, 2, {2, 3}, values, 24},
        {"W_dec.0", SAFETENSORS_F32, 2, {3, 2}, values, 24},
        {"b_dec.0", SAFETENSORS_F32, 1, {2}, values, 8},
        {"W_enc.1", SAFETENSORS_F32, 2, {2, 3}, values, 24},
        {"W_dec.1", SAFETENSORS_F32, 2, {3, 2}, values, 24},
        {"b_dec.1", SAFETENSORS_F32, 1, {2}, values, 8},
        {"b_enc", SAFETENSORS_F32, 1, {3}, values, 12},
    };
    snprintf(path, sizeof path, "%s/weights.safetensors", place);
    assert_int_equal(safetensors_write(path, tensors, 7, NULL, 0), ERR_OK);
}

#define ONE "[{\"width\": 2}]"
#define TWO "[{\"width\": 2}, {\"width\": 2}]"
#define OURS(arch, activation, in, out, more)                                                      \
    "{\"format\": \"sluice-hooks-1\", \"architecture\": \"" arch                                   \
    "\", \"activation\": \"" activation "\", \"in\": " in ", \"out\": " out more "}"

static void what_is_wrong_in_our_own_is_told(void **state)
{
    (void)state;
    static const struct wrong cases[] = {
        {OURS("transcoder", "relu", ONE, ONE, ", \"d_sae\": 3"), ERR_OK, ""},
        {OURS("crosscoder", "relu", TWO, TWO, ", \"d_sae\": 3"), ERR_OK, ""},
        {OURS("crosscoder", "topk", TWO, TWO, ", \"d_sae\": 3, \"k\": 2"), ERR_OK, ""},
        {OURS("crosscoder", "topk", TWO, TWO, ", \"d_sae\": 3, \"k\": 4"), ERR_FORMAT, "k is not"},
        {OURS("crosscoder", "jumprelu", TWO, TWO, ", \"d_sae\": 3"), ERR_FORMAT, "threshold"},
        {OURS("crosscoder", "relu", TWO, TWO, ", \"d_sae\": 4"), ERR_FORMAT, "W_enc.0"},
        {OURS("crosscoder", "relu", TWO, TWO, ""), ERR_FORMAT, "d_sae"},
        {OURS("crosscoder", "relu", TWO, ONE, ", \"d_sae\": 3"), ERR_FORMAT, "of a crosscoder"},
        {OURS("transcoder", "relu", TWO, TWO, ", \"d_sae\": 3"), ERR_FORMAT, "of a transcoder"},
        {OURS("transcoder", "relu", "[]", ONE, ", \"d_sae\": 3"), ERR_FORMAT, "'in'"},
        {OURS("transcoder", "relu", ONE, "7", ", \"d_sae\": 3"), ERR_FORMAT, "'out'"},
        {OURS("transcoder", "relu", ONE, "[{\"width\": -2}]", ", \"d_sae\": 3"), ERR_FORMAT,
         "no width"},
        {OURS("crosscoder", "relu", "[{\"width\": 1048576}, {\"width\": 1048576}]",
              "[{\"width\": 1048576}, {\"width\": 1048576}]", ", \"d_sae\": 3"),
         ERR_FORMAT, "wider than"},
        {OURS("transcoder", "relu", ONE, ONE, ", \"d_sae\": 3, \"skip\": true"), ERR_FORMAT,
         "W_skip"},
        {OURS("transcoder", "relu", ONE, ONE, ", \"d_sae\": 3, \"subtracts_b_dec\": true"),
         ERR_VERSION, "subtracts_b_dec"},
        {OURS("autoencoder", "relu", ONE, ONE, ", \"d_sae\": 3"), ERR_VERSION, "'autoencoder'"},
        {OURS("transcoder", "gelu", ONE, ONE, ", \"d_sae\": 3"), ERR_VERSION, "'gelu'"},
        {"{\"format\": \"sluice-hooks-2\"}", ERR_VERSION, "'sluice-hooks-2'"},
        {"{}", ERR_FORMAT, "no format"},
    };
    char place[256];
    snprintf(place, sizeof place, "%s/own", dir);
    assert_int_equal(dir_make(place, 0700), ERR_OK);
    put_hooks(place);
    check_cases(place, cases, sizeof cases / sizeof cases[0]);
}

/* A clt of two layers with three features each. */
static void put_layers(const char *place)
{
    char path[300];
    static float values[16];
    struct safetensors_tensor tensors[] = {
        {"W_enc.0", SAFETENSORS_F32, 2, {2, 3}, values, 24},
        {"W_dec.0", SAFETENSORS_F32, 2, {3, 4}, values, 48},
        {"b_enc.0", SAFETENSORS_F32, 1, {3}, values, 12},
        {"b_dec.0", SAFETENSORS_F32, 1, {2}, values, 8},
        {"threshold.0", SAFETENSORS_F32, 1, {3}, values, 12},
        {"W_enc.1", SAFETENSORS_F32, 2, {2, 3}, values, 24},
        {"W_dec.1", SAFETENSORS_F32, 2, {3, 2}, values, 24},
        {"b_enc.1", SAFETENSORS_F32, 1, {3}, values, 12},
        {"b_dec.1", SAFETENSORS_F32, 1, {2}, values, 8},
        {"threshold.1", SAFETENSORS_F32, 1, {3}, values, 12},
    };
    snprintf(path, sizeof path, "%s/weights.safetensors", place);
    assert_int_equal(safetensors_write(path, tensors, 10, NULL, 0), ERR_OK);
}

static void what_is_wrong_in_a_clt_is_told(void **state)
{
    (void)state;
    static const struct wrong cases[] = {
        {OURS("clt", "jumprelu", TWO, TWO, ", \"d_sae\": 6"), ERR_OK, ""},
        {OURS("clt", "jumprelu", TWO, TWO, ", \"d_sae\": 5"), ERR_FORMAT, "no multiple"},
        {OURS("clt", "jumprelu", TWO, TWO, ", \"d_sae\": 8"), ERR_FORMAT, "W_enc.0"},
        {OURS("clt", "jumprelu", TWO, ONE, ", \"d_sae\": 6"), ERR_FORMAT, "of a clt"},
        {OURS("clt", "jumprelu", "[{\"width\": 2}, {\"width\": 2}, {\"width\": 2}]",
              "[{\"width\": 2}, {\"width\": 2}, {\"width\": 2}]", ", \"d_sae\": 9"),
         ERR_FORMAT, "W_dec.0"},
        {OURS("clt", "relu", TWO, TWO, ", \"d_sae\": 6"), ERR_VERSION, "'relu'"},
        {OURS("clt", "jumprelu", TWO, TWO, ", \"d_sae\": 6, \"subtracts_b_dec\": true"),
         ERR_VERSION, "subtracts_b_dec"},
        {OURS("clt", "jumprelu", TWO, TWO, ", \"d_sae\": 6, \"skip\": true"), ERR_VERSION,
         "a clt with a skip"},
    };
    char place[256];
    snprintf(place, sizeof place, "%s/layers", dir);
    assert_int_equal(dir_make(place, 0700), ERR_OK);
    put_layers(place);
    check_cases(place, cases, sizeof cases / sizeof cases[0]);
}

/* Two wide vectors ask for no matrix that is not there. */
static void a_missing_skip_takes_no_memory(void **state)
{
    (void)state;
    enum { WIDE = 1 << 19 };
    char place[256], path[300];
    struct model model;
    struct import_facts facts;
    float *values = calloc(WIDE, sizeof *values);
    struct safetensors_tensor tensors[] = {
        {"W_enc", SAFETENSORS_F32, 2, {WIDE, 1}, values, WIDE * sizeof *values},
        {"W_dec", SAFETENSORS_F32, 2, {1, WIDE}, values, WIDE * sizeof *values},
    };
    snprintf(place, sizeof place, "%s/wide", dir);
    snprintf(path, sizeof path, "%s/sae_weights.safetensors", place);
    assert_int_equal(dir_make(place, 0700), ERR_OK);
    assert_int_equal(safetensors_write(path, tensors, 2, NULL, 0), ERR_OK);
    put(place, "cfg.json",
        "{\"architecture\": \"skip_transcoder\", \"d_in\": 524288, \"d_out\": 524288, "
        "\"d_sae\": 1}");
    assert_int_equal(import_open(place, pool, &model, &facts), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "no tensor W_skip"));
    free(values);
}

/* 0.5, whose bits are 0x3800 and 0x3f00. */
static void half_precisions_are_read(void **state)
{
    (void)state;
    static uint16_t values[2][6];
    static const enum safetensors_dtype dtypes[] = {SAFETENSORS_F16, SAFETENSORS_BF16};
    char place[256], path[300];
    for (int i = 0; i < 2; i++) {
        struct model model;
        struct import_facts facts;
        for (int j = 0; j < 6; j++) values[i][j] = i ? 0x3f00 : 0x3800;
        struct safetensors_tensor tensors[] = {
            {"W_enc", dtypes[i], 2, {2, 3}, values[i], 12},
            {"W_dec", dtypes[i], 2, {3, 2}, values[i], 12},
            {"b_enc", dtypes[i], 1, {3}, values[i], 6},
            {"b_dec", dtypes[i], 1, {2}, values[i], 4},
        };
        snprintf(place, sizeof place, "%s/half-%d", dir, i);
        snprintf(path, sizeof path, "%s/sae_weights.safetensors", place);
        assert_int_equal(dir_make(place, 0700), ERR_OK);
        assert_int_equal(safetensors_write(path, tensors, 4, NULL, 0), ERR_OK);
        put(place, "cfg.json", "{\"architecture\": \"standard\", \"d_in\": 2, \"d_sae\": 3}");
        assert_int_equal(import_open(place, pool, &model, &facts), ERR_OK);
        for (int j = 0; j < 6; j++) assert_true(model.encoder->w.w_enc[j] == 0.5f);
        assert_true(model.encoder->w.b_dec[1] == 0.5f);
        model_close(&model);
    }
}

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < WIDTH; i++) scale[i] = 0.25f;
    return mkdtemp(dir) && pool_new(2, &pool) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    pool_free(pool);
    return dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_we_export_is_read),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(what_is_wrong_in_our_own_is_told),
        cmocka_unit_test(what_is_wrong_in_a_clt_is_told),
        cmocka_unit_test(a_missing_skip_takes_no_memory),
        cmocka_unit_test(half_precisions_are_read),
        cmocka_unit_test(contexts_are_told_or_not),
    };
    return cmocka_run_group_tests_name("import", tests, set_up, tear_down);
}
