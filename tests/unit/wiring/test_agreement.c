/* What `sluice check` accepts a trainer accepts, and what one refuses the other refuses: both
 * complete an SAE's options by wiring/plan.h, over configurations of every architecture. */
#include "base/err.h"
#include "sae/sae.h"
#include "wiring/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct streams {
    uint32_t hooks, width[4];
};
static const struct streams one = {1, {8}}, same = {2, {8, 8}}, unequal = {2, {8, 12}},
                            three = {3, {8, 8, 8}}, third = {3, {8, 8, 12}},
                            pairs = {4, {8, 12, 8, 12}};

static const struct {
    const char *sae;
    const struct streams *stream;
    int accepted;
} cases[] = {
    {"arch: l1, features: 16", &one, 1},
    {"arch: l1, features: 16", &unequal, 1},
    {"arch: topk, features: 16, k: 2", &one, 1},
    {"arch: topk, features: 16, k: 2, aux_coefficient: 0", &one, 1},
    {"arch: topk, features: 16, k: 2, k_aux: 3", &three, 1},
    {"arch: batchtopk, features: 16, k: 2", &unequal, 1},
    {"arch: matryoshka, features: 16, k: 2", &one, 1},
    {"arch: matryoshka, features: 16, k: 2, levels: 3", &one, 1},
    {"arch: jumprelu, features: 16, bandwidth: 0.5", &one, 1},
    {"arch: gated, features: 16", &one, 1},
    {"arch: count", &one, 1},
    {"arch: transcoder, features: 16, k: 2", &same, 1},
    {"arch: transcoder, features: 16, k: 2, skip: true", &unequal, 1},
    {"arch: transcoder, features: 16, activation: l1", &unequal, 1},
    {"arch: transcoder, features: 16, k: 2", &one, 0},
    {"arch: transcoder, features: 16, k: 2", &three, 0},
    {"arch: crosscoder, features: 16", &same, 1},
    {"arch: crosscoder, features: 16, activation: batchtopk, k: 2", &three, 1},
    {"arch: crosscoder, features: 16", &unequal, 0},
    {"arch: crosscoder, features: 16, activation: topk, k: 2", &third, 0},
    {"arch: crosscoder, features: 16, activation: topk, k: 2, hooks: 'a, b'", &third, 1},
    {"arch: topk, features: 16, k: 2, hooks: b", &unequal, 1},
    {"arch: topk, features: 16, k: 2, hooks: c", &unequal, 0},
    {"arch: transcoder, features: 16, k: 2, hooks: 'c, a'", &third, 1},
    {"arch: clt, features: 16", &pairs, 1},
    {"arch: clt, features: 16", &unequal, 1},
    {"arch: clt, features: 16, activation: batchtopk, k: 2", &pairs, 1},
    {"arch: clt, features: 16, activation: batchtopk, k: 2, hooks: 'c, b'", &pairs, 1},
    {"arch: clt, features: 17", &pairs, 0},
    {"arch: clt, features: 16", &three, 0},
    {"arch: clt, features: 16, activation: l1", &pairs, 0},
    {"arch: clt, features: 16, hooks: 'a, b, d, c'", &pairs, 0},
};
enum { CASES = sizeof cases / sizeof cases[0] };

/* Hooks are given where the stream has several; of one, an engine names its own. */
static struct config *configure(const char *sae)
{
    static const char *const lists[] = {"[]", "[a, b]", "[a, b, c]", "[a, b, c, d]"};
    char text[512];
    struct config *config;
    for (int i = 0; i < 4; i++) { /* the first number that the configuration is fine with */
        snprintf(text, sizeof text,
                 "stream: { name: t, run_dir: /tmp/x, hooks: %s }\n"
                 "capture: { engine: files, files: [x.npy] }\n"
                 "trainer: { threads: 1, batch_rows: 32, saes: [ { %s } ] }\n",
                 lists[i], sae);
        if (config_parse(text, strlen(text), "t.yaml", NULL, 0, &config) == ERR_OK) return config;
    }
    fail_msg("%s: %s", sae, err_text());
    return NULL;
}

static char *describe(const struct streams *s)
{
    float mean[40] = {0};
    char *text;
    size_t bytes;
    struct descriptor d = {.stream = "t",
                           .dtype = DTYPE_F32,
                           .hooks = s->hooks,
                           .engine = "files",
                           .model = "m",
                           .precision = "f32",
                           .context_tokens = 8,
                           .share_count = 1,
                           .run = 1,
                           .rows_per_slab = 4,
                           .measured = 1,
                           .mean = mean,
                           .measured_rows = 10};
    for (uint32_t h = 0; h < s->hooks; h++) {
        d.width += s->width[h];
        d.hook[h].width = s->width[h];
        d.hook[h].scale = 1;
        d.hook[h].name[0] = (char)('a' + h);
    }
    if (descriptor_encode(&d, &text, &bytes) != ERR_OK) fail_msg("%s", err_text());
    return text;
}

static int trainer_accepts(const struct config *config, const struct streams *s, struct plan *plan)
{
    struct sae *sae;
    char *text = describe(s);
    int result = plan_make(config, text, NULL, plan);
    free(text);
    if (result != ERR_OK) return 0;
    result = sae_new(&plan->sae[0], &sae);
    if (result == ERR_OK) sae_free(sae);
    if (result == ERR_OK) return 1;
    plan_free(plan);
    return 0;
}

static int check_accepts(const struct config *config, const struct streams *s, struct plan *plan)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    struct view_hook hooks[4];
    uint64_t bytes;
    for (uint32_t h = 0; h < s->hooks; h++) hooks[h] = (struct view_hook){names[h], s->width[h]};
    if (plan_foretell(config, hooks, s->hooks, plan) != ERR_OK) return 0;
    if (sae_bytes(&plan->sae[0], &bytes) == ERR_OK) return 1;
    plan_free(plan);
    return 0;
}

static void check_and_trainer_agree(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct plan checked, trained;
        struct config *config = configure(cases[i].sae);
        int checks = check_accepts(config, cases[i].stream, &checked);
        int trains = trainer_accepts(config, cases[i].stream, &trained);
        if (checks != cases[i].accepted || trains != cases[i].accepted)
            fail_msg("%s on %u hooks: check %d, trainer %d: %s", cases[i].sae,
                     cases[i].stream->hooks, checks, trains, err_text());
        if (checks) {
            trained.sae[0].mean = NULL; /* of the stream itself */
            assert_memory_equal(&checked.sae[0], &trained.sae[0], sizeof checked.sae[0]);
            plan_free(&checked);
            plan_free(&trained);
        }
        config_free(config);
    }
}

static void every_architecture_is_among_them(void **state)
{
    (void)state;
    for (int arch = 0; arch < SAE_ARCHS; arch++) {
        char text[64];
        int found = 0;
        snprintf(text, sizeof text, "arch: %s", sae_arch_name((enum sae_arch)arch));
        for (int i = 0; i < CASES; i++) found |= strncmp(cases[i].sae, text, strlen(text)) == 0;
        if (!found) fail_msg("no case of %s", text);
    }
}

static uint64_t bytes_of(const char *sae)
{
    struct config *config = configure(sae);
    struct plan plan;
    uint64_t bytes = 0;
    assert_true(check_accepts(config, &one, &plan));
    assert_int_equal(sae_bytes(&plan.sae[0], &bytes), ERR_OK);
    plan_free(&plan);
    config_free(config);
    return bytes;
}

static void no_auxk_takes_less_memory(void **state)
{
    (void)state;
    assert_true(bytes_of("arch: topk, features: 64, k: 2, aux_coefficient: 0") <
                bytes_of("arch: topk, features: 64, k: 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_and_trainer_agree),
        cmocka_unit_test(every_architecture_is_among_them),
        cmocka_unit_test(no_auxk_takes_less_memory),
    };
    return cmocka_run_group_tests_name("agreement", tests, NULL, NULL);
}
