/* What is said of a run that came to nothing, and that nothing is said of one that did not. */
#include "trainer/warnings.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct sae_options options;

/* A run of 64 features without a fault. */
static struct warnings_facts facts_of(enum sae_arch arch)
{
    sae_options_default(arch, &options);
    options.width = 24;
    if (arch == SAE_TRANSCODER) options.width_in = 8;
    options.features = 64;
    options.k = 4;
    options.dead_window_rows = 1000;
    return (struct warnings_facts){.options = &options,
                                   .l0 = 4,
                                   .fve = 0.9,
                                   .dead = 32,
                                   .silent = 32,
                                   .rows = 10000,
                                   .steps = 200,
                                   .skipped = 1};
}

/* As many warnings, the first with these words. */
static void says(const struct warnings_facts *facts, size_t count, const char *words,
                 const char *hint)
{
    json_t *list = warnings_of(facts);
    assert_int_equal(json_array_size(list), count);
    if (count > 0) {
        const char *text = json_string_value(json_array_get(list, 0));
        if (!strstr(text, words) || !strstr(text, "; HINT: ") || !strstr(text, hint))
            fail_msg("'%s' says neither '%s' nor '%s'", text, words, hint);
    }
    json_decref(list);
}

static void a_good_run_is_left_alone(void **state)
{
    (void)state;
    for (int arch = 0; arch < SAE_ARCHS; arch++) {
        struct warnings_facts facts = facts_of((enum sae_arch)arch);
        says(&facts, 0, "", "");
        facts.l0 = facts.fve = NAN; /* nothing was held out */
        says(&facts, 0, "", "");
    }
}

static void most_features_dead(void **state)
{
    (void)state;
    static const char *const keys[SAE_ARCHS] = {
        [SAE_L1] = "lambda (5)",        [SAE_TOPK] = "aux_coefficient",
        [SAE_BATCHTOPK] = "aux_coeff",  [SAE_MATRYOSHKA] = "aux_coeff",
        [SAE_JUMPRELU] = "lambda (10",  [SAE_GATED] = "lambda (5)",
        [SAE_TRANSCODER] = "aux_coeff", [SAE_CROSSCODER] = "lambda (5)",
        [SAE_CLT] = "lambda (10",
    };
    for (int arch = 0; arch < SAE_COUNT; arch++) {
        struct warnings_facts facts = facts_of((enum sae_arch)arch);
        facts.dead = 33;
        says(&facts, 1, "33 of 64 features are dead (no firing in 1000 rows)", keys[arch]);
        facts.l0 = NAN;
        says(&facts, 1, "33 of 64", keys[arch]);
    }
    struct warnings_facts aimed = facts_of(SAE_JUMPRELU);
    options.target_l0 = 4;
    aimed.dead = 33;
    says(&aimed, 1, "33 of 64", "raise target_l0 (4)");
    struct warnings_facts counter = facts_of(SAE_COUNT);
    counter.dead = 64;
    counter.l0 = 0;
    says(&counter, 0, "", "");
}

static void no_feature_fires(void **state)
{
    (void)state;
    struct warnings_facts facts = facts_of(SAE_JUMPRELU);
    facts.l0 = 0;
    facts.fve = -0.001;
    facts.dead = 64;
    says(&facts, 1, "no feature fires (L0 0; 64 of 64 are dead)", "all of a row is 24 to explain");
    facts.dead = 0; /* on held-out rows none, though all fired of late */
    says(&facts, 1, "no feature fires (L0 0; 0 of 64", "try 0.24");
}

static void a_run_shorter_than_the_window(void **state)
{
    (void)state;
    struct warnings_facts facts = facts_of(SAE_TOPK);
    facts.dead = 0;
    facts.rows = 999;
    says(&facts, 0, "", "");
    facts.silent = 40;
    says(&facts, 1, "40 of 64 features did not fire in the 999 rows of this run", "shorter than");
    facts.rows = 0; /* nothing was trained */
    facts.l0 = NAN;
    says(&facts, 0, "", "");
}

static void nothing_explained_and_steps_left_out(void **state)
{
    (void)state;
    struct warnings_facts facts = facts_of(SAE_L1);
    facts.fve = 0;
    says(&facts, 1, "FVE is 0.0000", "or lambda");
    facts.fve = 0.9;
    facts.skipped = 2; /* of 202 */
    says(&facts, 0, "", "");
    facts.skipped = 3;
    says(&facts, 1, "3 of 203 steps were left out", "lower lr");
    facts.fve = -INFINITY;
    says(&facts, 2, "FVE", "lr");
}

/* Its FVE is NaN as where nothing was held out, or -INFINITY, and its L0 is anything. */
static void a_broken_one_is_told(void **state)
{
    (void)state;
    for (int arch = 0; arch < SAE_COUNT; arch++) {
        struct warnings_facts facts = facts_of((enum sae_arch)arch);
        facts.is_broken = 1;
        facts.fve = NAN;
        says(&facts, 1, "what it reconstructs is not finite", "lower lr");
        facts.fve = -INFINITY;
        facts.l0 = 0;
        facts.dead = 64;
        says(&facts, 1, "what it reconstructs is not finite", "max_norm_ratio");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_run_is_left_alone),
        cmocka_unit_test(most_features_dead),
        cmocka_unit_test(no_feature_fires),
        cmocka_unit_test(a_run_shorter_than_the_window),
        cmocka_unit_test(nothing_explained_and_steps_left_out),
        cmocka_unit_test(a_broken_one_is_told),
    };
    return cmocka_run_group_tests_name("warnings", tests, NULL, NULL);
}
