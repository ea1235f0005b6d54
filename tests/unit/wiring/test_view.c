/* What an autoencoder sees of a stream: which hooks, in which order, and what is refused. */
#include "wiring/view.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { HOOKS = 4 };
static const struct view_hook stream[HOOKS] = {
    {"in.0", 2}, {"out.0", 3}, {"in.1", 2}, {"out.1", 3}};
static const struct view_hook uneven[HOOKS] = {
    {"in.0", 2}, {"out.0", 3}, {"in.1", 1}, {"out.1", 3}};
static const struct view_hook odd[HOOKS] = {{"in.0", 2}, {"out.0", 3}, {"in.1", 2}, {"out.1", 4}};

static struct config_sae sae_of(enum sae_arch arch, const char *hooks)
{
    struct config_sae sae = {.name = "one", .hooks = (char *)hooks};
    sae.options.arch = arch;
    return sae;
}

static struct view view_of(enum sae_arch arch, const char *hooks)
{
    struct config_sae sae = sae_of(arch, hooks);
    struct view view;
    if (view_make(&sae, stream, HOOKS, &view) != ERR_OK) fail_msg("%s", err_text());
    return view;
}

/* A row of the stream is 0, 1, ..., 9. */
static void sees(enum sae_arch arch, const char *hooks, const char *values)
{
    const float row[20] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
    struct view view = view_of(arch, hooks);
    float out[20];
    assert_int_equal(view.width, strlen(values));
    view_gather(&view, row, 10, 2, out);
    for (uint32_t i = 0; i < view.width; i++) {
        assert_true(out[i] == (float)(values[i] - '0'));
        assert_true(out[view.width + i] == out[i] + 10);
    }
}

static void hooks_lie_in_the_order_that_was_asked_for(void **state)
{
    (void)state;
    sees(SAE_TOPK, "", "0123456789");
    sees(SAE_TOPK, "out.0", "234");
    sees(SAE_TOPK, "out.1,in.0", "78901");
    sees(SAE_TOPK, "  out.1 ,\tin.0 ", "78901");
    sees(SAE_TRANSCODER, "in.1, out.0", "56234");
    sees(SAE_CROSSCODER, "out.1, out.0", "789234");
    assert_true(view_of(SAE_TOPK, "").is_whole);
    assert_true(view_of(SAE_TOPK, "in.0, out.0, in.1, out.1").is_whole);
    assert_false(view_of(SAE_TOPK, "in.0").is_whole);
    assert_false(view_of(SAE_TOPK, "out.0, in.0, in.1, out.1").is_whole);
    assert_int_equal(view_width_in(&(struct view){.hooks = 2, .values = {7, 9}}), 7);
}

static void a_clt_sees_what_goes_in_before_what_comes_out(void **state)
{
    (void)state;
    sees(SAE_CLT, "", "0156234789");
    sees(SAE_CLT, "in.1, out.1, in.0, out.0", "5601789234");
    struct view view = view_of(SAE_CLT, "");
    assert_false(view.is_whole);
    assert_int_equal(view_width_in(&view), 4);
    sees(SAE_CLT, "in.1, out.0", "56234");
}

static void refuses(enum sae_arch arch, const char *hooks, const struct view_hook *of,
                    const char *words)
{
    struct config_sae sae = sae_of(arch, hooks);
    struct view view;
    assert_int_equal(view_make(&sae, of, HOOKS, &view), ERR_USAGE);
    if (!strstr(err_text(), words)) fail_msg("'%s' is not in: %s", words, err_text());
    assert_non_null(strstr(err_text(), "autoencoder one"));
}

static void what_does_not_fit_is_refused_by_name(void **state)
{
    (void)state;
    refuses(SAE_TOPK, "in.2", stream,
            "'in.2' is none of the stream's hooks; HINT: it has in.0, out");
    refuses(SAE_TOPK, "in", stream, "'in' is none");
    refuses(SAE_TOPK, "in.0, out.0, in.0", stream, "'in.0' is there twice");
    refuses(SAE_TOPK, "in.0,", stream, "no name before or behind a comma");
    refuses(SAE_TOPK, ",in.0", stream, "no name before or behind a comma");
    refuses(SAE_TOPK, "in.0,,in.1", stream, "no name before or behind a comma");
    refuses(SAE_TOPK, " ", stream, "no name before or behind a comma");
    refuses(SAE_TRANSCODER, "", stream, "needs two hooks, not 4");
    refuses(SAE_TRANSCODER, "in.0", stream, "needs two hooks, not 1");
    refuses(SAE_CROSSCODER, "in.0, out.0", stream,
            "a crosscoder needs hooks of one width; in.0 has 2");
    refuses(SAE_CLT, "in.0, out.0, in.1", stream, "pairs");
    refuses(SAE_CLT, "in.0, out.0, out.1, in.1", stream, "one width on either side; in.0 has 2");
    refuses(SAE_CLT, "", uneven, "in.0 has 2 values, in.1 1");
    refuses(SAE_CLT, "in.0, out.0, in.1, out.1", odd, "out.0 has 3 values, out.1 4");
}

static void a_checkpoint_names_them(void **state)
{
    (void)state;
    static struct descriptor d = {.hooks = HOOKS};
    for (int h = 0; h < HOOKS; h++) {
        strcpy(d.hook[h].name, stream[h].name);
        d.hook[h].width = stream[h].width;
    }
    struct view view = view_of(SAE_CLT, "in.1, out.1, in.0, out.0"), again;
    json_t *names = view_names(&view, &d);
    assert_string_equal(json_string_value(json_array_get(names, 1)), "in.0");
    memset(&again, 0, sizeof again);
    assert_int_equal(view_of_names(names, &d, &again), ERR_OK);
    assert_memory_equal(&view, &again, sizeof view);
    json_array_append_new(names, json_string("in.9"));
    assert_int_equal(view_of_names(names, &d, &again), ERR_FORMAT);
    json_array_clear(names);
    assert_int_equal(view_of_names(names, &d, &again), ERR_FORMAT);
    json_array_append_new(names, json_integer(1));
    assert_int_equal(view_of_names(names, &d, &again), ERR_FORMAT);
    json_decref(names);
    assert_int_equal(view_of_names(NULL, &d, &again), ERR_OK); /* of before there was the key */
    assert_true(again.is_whole && again.width == 10);
}

static void an_sae_fits_the_hooks_that_it_was_made_for(void **state)
{
    (void)state;
    struct view all = view_of(SAE_CLT, ""), two = view_of(SAE_TRANSCODER, "in.1, out.0");
    struct sae_options o = {.arch = SAE_TOPK, .width = 10, .hooks = 1};
    assert_true(view_fits(&all, &o));
    assert_false(view_fits(&two, &o));
    o = (struct sae_options){.arch = SAE_CLT, .width = 10, .width_in = 4, .hooks = 2};
    assert_true(view_fits(&all, &o));
    o.hooks = 3;
    assert_false(view_fits(&all, &o));
    o = (struct sae_options){.arch = SAE_TRANSCODER, .width = 5, .width_in = 2, .hooks = 1};
    assert_true(view_fits(&two, &o));
    o.width_in = 3;
    assert_false(view_fits(&two, &o));
    struct view even = {.hooks = 2, .width = 6, .values = {3, 3}};
    o = (struct sae_options){.arch = SAE_CROSSCODER, .width = 6, .hooks = 2};
    assert_true(view_fits(&even, &o));
    o.hooks = 3;
    assert_false(view_fits(&even, &o));
    even.values[0] = 2; /* the same sum, but no hooks of one width */
    even.values[1] = 4;
    o.hooks = 2;
    assert_false(view_fits(&even, &o));
    o = (struct sae_options){.arch = SAE_CLT, .width = 16, .width_in = 8, .hooks = 2};
    struct view sides = {.hooks = 4, .width = 16, .values = {4, 4, 4, 4}};
    assert_true(view_fits(&sides, &o));
    sides.values[0] = 2;
    sides.values[1] = 6;
    assert_false(view_fits(&sides, &o));
    sides = (struct view){.hooks = 4, .width = 16, .values = {4, 4, 2, 6}};
    assert_false(view_fits(&sides, &o));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hooks_lie_in_the_order_that_was_asked_for),
        cmocka_unit_test(a_clt_sees_what_goes_in_before_what_comes_out),
        cmocka_unit_test(what_does_not_fit_is_refused_by_name),
        cmocka_unit_test(a_checkpoint_names_them),
        cmocka_unit_test(an_sae_fits_the_hooks_that_it_was_made_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
