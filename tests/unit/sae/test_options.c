#include "sae/options.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void names_lead_there_and_back(void **state)
{
    (void)state;
    for (int arch = 0; arch < SAE_ARCHS; arch++)
        assert_int_equal(sae_arch_by_name(sae_arch_name((enum sae_arch)arch)), arch);
    assert_string_equal(sae_arch_name(SAE_TOPK), "topk");
    assert_string_equal(sae_arch_name(SAE_COUNT), "count");
    assert_string_equal(sae_arch_name(SAE_ARCHS), "unknown");
    assert_int_equal(sae_arch_by_name("unknown"), -1);
    assert_int_equal(sae_arch_by_name("top"), -1);
}

static void near(double is, double should)
{
    if (fabs(is - should) > 1e-12) fail_msg("%.12g, not %.12g", is, should);
}

static void defaults_are_those_named(void **state)
{
    (void)state;
    near(sae_arch_learning_rate(SAE_L1, 4608), 5e-5);
    near(sae_arch_learning_rate(SAE_GATED, 0), 3e-4);
    near(sae_arch_learning_rate(SAE_BATCHTOPK, 16384), 2e-4);
    near(sae_arch_learning_rate(SAE_TOPK, 4096), 4e-4);
    near(sae_arch_learning_rate(SAE_TOPK, 0), 1e-3);
    near(sae_arch_decoder_lr_factor(SAE_MATRYOSHKA, SAE_MATRYOSHKA), 3);
    near(sae_arch_decoder_lr_factor(SAE_GATED, SAE_GATED), 1);
    near(sae_arch_decoder_lr_factor(SAE_CROSSCODER, SAE_TOPK), 3);
    near(sae_arch_decoder_lr_factor(SAE_CROSSCODER, SAE_L1), 1);
    near(sae_arch_decoder_lr_factor(SAE_TRANSCODER, SAE_TOPK), 1);
    near(sae_arch_lambda(SAE_JUMPRELU), 10);
    near(sae_arch_lambda_ramp(SAE_JUMPRELU), 1);
    near(sae_arch_lambda_ramp(SAE_L1), 0.05);
}

/* Which keys mean something, as they were told one by one before they came from the list. */
static void keys_mean_something_to_those_that_use_them(void **state)
{
    (void)state;
    static const struct {
        enum sae_arch arch, activation;
        const char *uses;
    } all[] = {
        {SAE_L1, SAE_L1, " lambda lambda_ramp "},
        {SAE_TOPK, SAE_TOPK, " k aux_coefficient k_aux "},
        {SAE_BATCHTOPK, SAE_BATCHTOPK, " k aux_coefficient k_aux "},
        {SAE_MATRYOSHKA, SAE_MATRYOSHKA, " k aux_coefficient k_aux levels "},
        {SAE_JUMPRELU, SAE_JUMPRELU, " lambda lambda_ramp bandwidth pre_act_coefficient "},
        {SAE_GATED, SAE_GATED, " lambda lambda_ramp "},
        {SAE_TRANSCODER, SAE_TOPK, " activation skip k aux_coefficient k_aux "},
        {SAE_TRANSCODER, SAE_L1, " activation skip lambda lambda_ramp "},
        {SAE_CROSSCODER, SAE_L1, " activation lambda lambda_ramp "},
        {SAE_CROSSCODER, SAE_BATCHTOPK, " activation k aux_coefficient k_aux "},
    };
    static const char *const own[] = {
        "activation", "skip",        "k",         "aux_coefficient",     "k_aux",
        "lambda",     "lambda_ramp", "bandwidth", "pre_act_coefficient", "levels"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (size_t j = 0; j < sizeof own / sizeof own[0]; j++) {
            char word[32];
            snprintf(word, sizeof word, " %s ", own[j]);
            int uses = sae_arch_uses(all[i].arch, all[i].activation, own[j]);
            if (uses != (strstr(all[i].uses, word) != NULL))
                fail_msg("%s %s: %d", sae_arch_name(all[i].arch), own[j], uses);
            assert_int_equal(sae_arch_uses(SAE_COUNT, SAE_COUNT, own[j]), 0);
            assert_int_equal(sae_arch_uses(all[i].arch, all[i].activation, "lr"), 1);
            assert_int_equal(sae_arch_uses(all[i].arch, all[i].activation, "name"), 1);
        }
    assert_int_equal(sae_arch_uses(SAE_COUNT, SAE_COUNT, "lr"), 0);
    assert_int_equal(sae_arch_uses(SAE_COUNT, SAE_COUNT, "features"), 0);
    assert_int_equal(sae_arch_uses(SAE_COUNT, SAE_COUNT, "arch"), 1);
}

static void weights_are_counted_as_they_are_used(void **state)
{
    (void)state;
    struct sae_options o;
    sae_options_default(SAE_CLT, &o);
    o.width_in = 6;
    o.width = 6 + 10;
    o.hooks = 2;
    o.features = 8; /* 4 of each layer; they see 3 values, and write 10 or 5 */
    assert_int_equal(sae_weights(&o), 8 * 3 + 4 * 10 + 4 * 5);
    o.features = 2;
    assert_int_equal(sae_weights(&o), 2 * 3 + 10 + 5);
    sae_options_default(SAE_TRANSCODER, &o);
    o.width_in = 4;
    o.width = 7;
    o.skip = 1;
    o.features = 5;
    assert_int_equal(sae_weights(&o), 5 * 4 + 5 * 3 + 3 * 4);
}

static void only_a_transcoder_skips(void **state)
{
    (void)state;
    struct sae_options o;
    sae_options_default(SAE_TOPK, &o);
    o.width = 4;
    o.features = 8;
    o.k = 2;
    o.skip = 1;
    assert_int_equal(sae_options_check(&o), ERR_USAGE);
    assert_non_null(strstr(err_text(), "a topk has none"));
    sae_options_default(SAE_TRANSCODER, &o);
    o.features = 8;
    o.skip = 2;
    assert_int_equal(sae_options_check(&o), ERR_USAGE);
    o.skip = 1;
    assert_int_equal(sae_options_check(&o), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_lead_there_and_back),
        cmocka_unit_test(defaults_are_those_named),
        cmocka_unit_test(keys_mean_something_to_those_that_use_them),
        cmocka_unit_test(weights_are_counted_as_they_are_used),
        cmocka_unit_test(only_a_transcoder_skips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
