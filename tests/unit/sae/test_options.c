#include "sae/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_lead_there_and_back),
        cmocka_unit_test(defaults_are_those_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
