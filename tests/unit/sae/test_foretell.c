/* Options that cannot come to much are told before they are trained. */
#include "sae/foretell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int is_told(enum sae_arch arch, uint32_t width, double lambda, char *text)
{
    struct sae_options o;
    sae_options_default(arch, &o);
    o.width = width;
    if (lambda >= 0) o.lambda = lambda;
    return foretell_lambda(&o, text, 512);
}

static void lambda_has_a_proportion(void **state)
{
    (void)state;
    char text[512] = "as it was";
    assert_int_equal(is_told(SAE_JUMPRELU, 200, -1, text), 0); /* its default, 10 */
    assert_int_equal(is_told(SAE_JUMPRELU, 576, -1, text), 0);
    assert_int_equal(is_told(SAE_JUMPRELU, 24, 1.2, text), 0);
    assert_int_equal(is_told(SAE_L1, 24, -1, text), 0);
    assert_int_equal(is_told(SAE_GATED, 24, -1, text), 0);
    assert_int_equal(is_told(SAE_TOPK, 24, 10, text), 0);
    assert_int_equal(is_told(SAE_COUNT, 24, 10, text), 0);
    assert_string_equal(text, "as it was");
    assert_int_equal(is_told(SAE_JUMPRELU, 199, -1, text), 1);
    assert_int_equal(is_told(SAE_JUMPRELU, 24, -1, text), 1);
    assert_non_null(strstr(text, "lambda 10 is much for rows of 24 values"));
    assert_non_null(strstr(text, "HINT: set lambda to about 0.24"));
}

static void a_target_has_no_lambda(void **state)
{
    (void)state;
    char text[512];
    struct sae_options o;
    sae_options_default(SAE_JUMPRELU, &o);
    o.width = 24;
    o.target_l0 = 4;
    assert_int_equal(foretell_lambda(&o, text, sizeof text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lambda_has_a_proportion),
        cmocka_unit_test(a_target_has_no_lambda),
    };
    return cmocka_run_group_tests_name("foretell", tests, NULL, NULL);
}
