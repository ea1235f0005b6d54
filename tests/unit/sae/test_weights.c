/*
 * Every architecture's weights, bit for bit, after a short run on synthetic rows, against hashes
 * that were recorded on 2026-11-27, before the code was taken apart; and checkpoints of that day,
 * taken up in the middle of the same run. The plain kernels are compared, and OpenBLAS is told
 * which of its own to take, so that every processor with FMA gives the same.
 *
 * `test_weights --print` prints the table for the kernels that SLUICE_KERNELS names, to compare two
 * versions of the code on one machine; `test_weights --checkpoints DIR` writes the checkpoints.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "sae/checkpoint.h"

#include "helper.h"

static const struct shape {
    uint32_t width, features, k, rows, directions;
} shapes[] = {
    {12, 32, 3, 64, 24},   /* also kept as checkpoints */
    {72, 600, 8, 256, 300} /* several blocks of features, rows and columns */
};
enum { SHAPES = sizeof shapes / sizeof shapes[0], STEPS = 40, HALF = STEPS / 2 };

struct hashes {
    uint64_t weights, steps;
};

/* By shape and kind (helper.h). */
static const struct hashes recorded[SHAPES][KIND_COUNT] = {
    {{0x569cf452cc13e5cc, 0xd71fa7d02bf8efd7},  /* l1-l1 */
     {0x2e437347f9837490, 0x253eada06d4ecd22},  /* topk-topk */
     {0x4d65c1cb7807ebe5, 0xb186d126e873f632},  /* batchtopk-batchtopk */
     {0xfd6a1c789038c040, 0x55c0dedbc08829b5},  /* matryoshka-matryoshka */
     {0x3c8508c9f36f4bbd, 0x12ed73c9dcfb8dfb},  /* jumprelu-jumprelu */
     {0x3843967bb8038c30, 0x322c23e77c772c94},  /* gated-gated */
     {0x8cb7e4351fa5ee2f, 0x0097c0fdb5a72084},  /* transcoder-l1 */
     {0x2c4d8295f4318f2b, 0x6439da234d50f6d5},  /* transcoder-topk */
     {0xff594288cc4b066a, 0x9b70d56e95b06496},  /* transcoder-batchtopk */
     {0xb44b65e0bd447c48, 0x3a7588487d934655},  /* crosscoder-l1 */
     {0xa6519b141859cf4f, 0x60ba66e9d25acb65},  /* crosscoder-topk */
     {0x4bdc578375b3b761, 0x473539abd84b637b},  /* crosscoder-batchtopk */
     {0xda7fb68cbe277e21, 0xe3fa7b25afca2d64},  /* clt-jumprelu */
     {0x557a2d49bdadf61c, 0x19bcfeac85e908a3}}, /* clt-batchtopk */
    {{0x2570a11af22cf365, 0x6b5af47f00bff7a7},  /* l1-l1 */
     {0xe75f5337ad8e11e9, 0x2188849a617c3ce8},  /* topk-topk */
     {0x8582bff6c52d6348, 0x3787891691b62052},  /* batchtopk-batchtopk */
     {0xa0b59a0419f10271, 0xb162a38c1b5e3294},  /* matryoshka-matryoshka */
     {0xca2e530693723daf, 0x8384aed07e0f9b4d},  /* jumprelu-jumprelu */
     {0x6c88309198a54056, 0xca749020cf12d0cc},  /* gated-gated */
     {0x825ddbabcd0cd8f2, 0x3cc1e2941d6f61c4},  /* transcoder-l1 */
     {0x8dececf0edb4f447, 0x5fd14dfbd7935129},  /* transcoder-topk */
     {0xfc1df8414cac7741, 0x5a17fff15b37ab79},  /* transcoder-batchtopk */
     {0xdcb549e9592528a6, 0x339d34b91b5f99bb},  /* crosscoder-l1 */
     {0xdb7bd83e17e3a14d, 0xee58295523cd4858},  /* crosscoder-topk */
     {0x195cd7a780598107, 0x763bdeb102edd42d},  /* crosscoder-batchtopk */
     {0x330a13a5dd54a2fc, 0x0a72cc9aa51c1ea5},  /* clt-jumprelu */
     {0x170f68a2bc42d3da, 0x92daa6eeb5693b80}}, /* clt-batchtopk */
};

static void options_of(int kind, const struct shape *s, struct sae_options *o)
{
    *o = kind_options(kind, s->width);
    o->features = s->features;
    o->k = s->k;
    o->batch_rows = s->rows;
    o->threads = 2;
    o->planned_steps = STEPS;
    o->dead_window_rows = 3ull * s->rows;
    o->learning_rate *= 3;
    o->warmup = 0.1;
    if (o->lambda > 1) o->lambda /= 4;
    if (kinds[kind].arch == SAE_MATRYOSHKA) o->levels = 3;
}

static const float *parameter(const struct sae_parameters *p, const struct sae_options *o, int i,
                              size_t *count)
{
    size_t f = o->features, in = sae_in_width(o), out = sae_out_width(o);
    const struct {
        const float *at;
        size_t count;
    } all[] = {{p->w_enc, f * in},    {p->w_dec, f * out}, {p->b_enc, f}, {p->b_dec, out},
               {p->w_skip, in * out}, {p->threshold, f},   {p->r_mag, f}, {p->b_mag, f}};
    if ((size_t)i >= sizeof all / sizeof all[0]) return NULL;
    *count = all[i].at ? all[i].count : 0;
    return all[i].at ? all[i].at : p->w_enc;
}

static uint64_t hash_weights(const struct sae *sae)
{
    struct sae_parameters p = sae_parameters(sae);
    XXH3_state_t *state = XXH3_createState();
    const float *at;
    size_t count;
    XXH3_64bits_reset(state);
    for (int i = 0; (at = parameter(&p, sae_options(sae), i, &count)); i++)
        XXH3_64bits_update(state, at, count * sizeof *at);
    uint64_t hash = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return hash;
}

/* Steps [from, to) of the run of that shape: the same rows whoever asks. */
static void train(struct sae *sae, const struct shape *s, int from, int to, uint64_t *hash)
{
    struct rng rng;
    size_t values = (size_t)s->rows * s->width;
    float *directions = malloc((size_t)s->directions * s->width * sizeof *directions);
    float *x = malloc(values * sizeof *x);
    rng_seed(&rng, 7);
    random_directions(&rng, directions, s->directions, s->width);
    for (int i = 0; i < to; i++) {
        struct sae_batch batch = {.x = x, .rows = s->rows};
        struct sae_step step;
        sparse_rows(&rng, directions, s->directions, s->width, 5, x, s->rows);
        if (i < from) continue;
        assert_int_equal(sae_train(sae, &batch, &step), ERR_OK);
        assert_int_equal(step.skipped, 0);
        double told[] = {step.loss, step.mse, step.rest,         step.l0,
                         step.l1,   step.aux, step.gradient_norm};
        *hash = XXH3_64bits_withSeed(told, sizeof told, *hash + step.dead);
    }
    free(directions);
    free(x);
}

static struct hashes run(int kind, const struct shape *s)
{
    struct hashes h = {0};
    struct sae_options o;
    struct sae *sae;
    options_of(kind, s, &o);
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    train(sae, s, 0, STEPS, &h.steps);
    h.weights = hash_weights(sae);
    sae_free(sae);
    return h;
}

static const char *kind_name(int kind, char name[64])
{
    snprintf(name, 64, "%s-%s", sae_arch_name(kinds[kind].arch),
             sae_arch_name(kinds[kind].activation));
    return name;
}

static void use_the_plain_kernels(void)
{
    setenv("SLUICE_KERNELS", "plain", 1);
    setenv("OPENBLAS_CORETYPE", "Nehalem", 1);
}

static void weights_are_those_recorded(void **state)
{
    (void)state;
    char name[64];
    int differ = 0;
    for (int i = 0; i < SHAPES; i++)
        for (int kind = 0; kind < KIND_COUNT; kind++) {
            struct hashes is = run(kind, &shapes[i]), should = recorded[i][kind];
            if (is.weights == should.weights && is.steps == should.steps) continue;
            print_error("%s, %u features: %s\n", kind_name(kind, name), shapes[i].features,
                        is.weights == should.weights ? "what its steps tell" : "its weights");
            differ++;
        }
    if (differ) fail_msg("%d runs differ from those recorded", differ);
}

static void checkpoints_of_then_go_on(void **state)
{
    (void)state;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        char path[128], name[64];
        struct checkpoint *checkpoint;
        struct sae_options o;
        struct sae *sae;
        uint64_t steps = 0;
        snprintf(path, sizeof path, "tests/golden/sae-v1-%s.sluice", kind_name(kind, name));
        options_of(kind, &shapes[0], &o);
        if (checkpoint_open(path, &checkpoint) != ERR_OK) fail_msg("%s", err_text());
        assert_int_equal(sae_new(&o, &sae), ERR_OK);
        if (sae_load(sae, checkpoint, "sae.0") != ERR_OK) fail_msg("%s: %s", path, err_text());
        checkpoint_close(checkpoint);
        assert_int_equal(sae_steps(sae), HALF);
        train(sae, &shapes[0], HALF, STEPS, &steps);
        if (hash_weights(sae) != recorded[0][kind].weights) fail_msg("%s goes on otherwise", path);
        sae_free(sae);
    }
}

static int print_table(void)
{
    char name[64];
    for (int i = 0; i < SHAPES; i++)
        for (int kind = 0; kind < KIND_COUNT; kind++) {
            struct hashes h = run(kind, &shapes[i]);
            printf("%s{0x%016llx, 0x%016llx}%s /* %s */\n", kind ? "     " : "    {",
                   (unsigned long long)h.weights, (unsigned long long)h.steps,
                   kind + 1 < KIND_COUNT ? "," : "},", kind_name(kind, name));
        }
    return 0;
}

static int write_checkpoints(const char *dir)
{
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        char from[512], to[512], name[64];
        struct checkpoint_writer *writer;
        struct checkpoint *checkpoint;
        struct sae_options o;
        struct sae *sae;
        uint64_t steps = 0;
        options_of(kind, &shapes[0], &o);
        if (sae_new(&o, &sae) != ERR_OK) return 1;
        train(sae, &shapes[0], 0, HALF, &steps);
        if (checkpoint_begin(dir, HALF, &writer) != ERR_OK) return 1;
        sae_save(sae, writer, "sae.0");
        unsigned damaged;
        if (checkpoint_commit(writer, 1) != ERR_OK) return 1;
        if (checkpoint_newest(dir, &checkpoint, &damaged) != ERR_OK) return 1;
        snprintf(from, sizeof from, "%s", checkpoint_path(checkpoint));
        snprintf(to, sizeof to, "%s/sae-v1-%s.sluice", dir, kind_name(kind, name));
        checkpoint_close(checkpoint);
        if (rename(from, to) != 0) return 1;
        sae_free(sae);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--print") == 0) return print_table();
    use_the_plain_kernels();
    if (argc == 3 && strcmp(argv[1], "--checkpoints") == 0) return write_checkpoints(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_those_recorded),
        cmocka_unit_test(checkpoints_of_then_go_on),
    };
    return cmocka_run_group_tests_name("weights", tests, NULL, NULL);
}
