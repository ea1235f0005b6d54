/* Hooks in the words of TransformerLens, however their user wrote them. */
#include "sae/export/hook_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    const char *name, *lens; /* NULL: it is none */
    int layer;               /* whose output it is; -1: of none */
} hooks[] = {
    {"resid_post.15", "blocks.15.hook_resid_post", 15},
    {"l_out-15", "blocks.15.hook_resid_post", 15},
    {"model.layers.0", "blocks.0.hook_resid_post", 0},
    {"blocks.3.hook_resid_post", "blocks.3.hook_resid_post", 3},
    {"resid_pre.3", "blocks.3.hook_resid_pre", -1},
    {"blocks.3.hook_resid_pre", "blocks.3.hook_resid_pre", -1},
    {"resid_mid.3", "blocks.3.hook_resid_mid", -1},
    {"mlp_out.12", "blocks.12.hook_mlp_out", -1},
    {"model.layers.12.mlp", "blocks.12.hook_mlp_out", -1},
    {"attn_out.12", "blocks.12.hook_attn_out", -1},
    {"model.layers.12.self_attn", "blocks.12.hook_attn_out", -1},
    {"ffn_out-15", NULL, -1},
    {"resid_post.", NULL, -1},
    {"resid_post.x", NULL, -1},
    {"resid_post.15.", NULL, -1},
    {"model.layers.12.mlp.down_proj", NULL, -1},
    {"blocks.3.hook_resid_post.x", NULL, -1},
    {"synthetic", NULL, -1},
    {"", NULL, -1},
};

static void names_are_translated(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++) {
        char out[HOOK_NAME_BYTES] = "as it was";
        unsigned layer = 999;
        assert_int_equal(hook_name_of_transformer_lens(hooks[i].name, out), hooks[i].lens != NULL);
        assert_string_equal(out, hooks[i].lens ? hooks[i].lens : "as it was");
        assert_int_equal(hook_name_is_layer(hooks[i].name, &layer), hooks[i].layer >= 0);
        if (hooks[i].layer >= 0) assert_int_equal(layer, hooks[i].layer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_translated),
    };
    return cmocka_run_group_tests_name("hook_names", tests, NULL, NULL);
}
