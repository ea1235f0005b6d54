/* A checkpoint that is opened to be exported: what it tells of its training, and what an older build
 * did not write. */
#include "cli/saved.h"

#include "base/err.h"
#include "base/fileio.h"
#include "sae/checkpoint.h"
#include "sae/sae.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char folder[] = "/tmp/sluice-saved-XXXXXX";

static void put_stream(struct checkpoint_writer *writer)
{
    float mean[4] = {0};
    struct descriptor d = {.stream = "t",
                           .dtype = DTYPE_F32,
                           .width = 4,
                           .hooks = 2,
                           .hook = {{"a", 2, 1, 0, 2}, {"b", 2, 1, 0, 3}},
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
    char *text;
    size_t bytes;
    if (descriptor_encode(&d, &text, &bytes) != ERR_OK) fail_msg("%s", err_text());
    assert_int_equal(checkpoint_put(writer, SECTION_DESCRIPTOR, text, bytes), ERR_OK);
    free(text);
}

/* A checkpoint of an SAE on all hooks whose section `trainer` has these words; what opening it
 * says. */
static int opened(const char *words, struct saved *saved)
{
    struct sae_options o;
    struct sae *sae;
    struct checkpoint_writer *writer;
    struct options options = {.file = folder};
    sae_options_default(SAE_TOPK, &o);
    o.width = 4;
    o.features = 8;
    o.k = 2;
    assert_int_equal(sae_new(&o, &sae), ERR_OK);
    assert_int_equal(checkpoint_begin(folder, 5, &writer), ERR_OK);
    put_stream(writer);
    assert_int_equal(checkpoint_put(writer, SECTION_TRAINER, words, strlen(words)), ERR_OK);
    assert_int_equal(sae_save(sae, writer, "sae.0"), ERR_OK);
    assert_int_equal(checkpoint_commit(writer, 1), ERR_OK);
    sae_free(sae);
    return saved_open(&options, saved);
}

#define WORDS                                                                                      \
    "\"rows\": 20, \"saes\": 1, \"steps\": 5, \"reuse\": 2, \"seed\": 7, \"batch_rows\": 4"

static json_t *told(const struct saved *saved, const char *key)
{
    static struct sae_options o;
    struct provenance_training training = saved->training;
    json_t *m = json_object();
    sae_options_default(SAE_TOPK, &o);
    training.options = &o;
    provenance_put_training(m, &training, 0);
    json_t *value = json_incref(json_object_get(m, key));
    json_decref(m);
    return value;
}

static void what_an_older_build_did_not_write_is_not_made_up(void **state)
{
    (void)state;
    struct saved saved;
    if (opened("{" WORDS "}", &saved) != ERR_OK) fail_msg("%s", err_text());
    json_t *known = told(&saved, "training_changes_known_from_step");
    json_t *settings = told(&saved, "training_settings");
    assert_int_equal(json_integer_value(known), 5); /* nothing is known of before */
    assert_true(json_is_null(settings));
    assert_string_equal(saved_name(&saved, 0), "sae.0");
    json_decref(known);
    json_decref(settings);
    saved_close(&saved);
    if (opened("{" WORDS ", \"changes_known_from_step\": 0}", &saved) != ERR_OK)
        fail_msg("%s", err_text());
    known = told(&saved, "training_changes_known_from_step");
    assert_int_equal(json_integer_value(known), 0);
    json_decref(known);
    saved_close(&saved);
}

static void hooks_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct saved saved;
    struct view view;
    struct sae_options o = {.arch = SAE_TOPK, .width = 4};
    const char *some = "{" WORDS ", \"settings\": {\"saes\": [{\"hooks\": [\"b\"]}]}}";
    if (opened("{" WORDS "}", &saved) != ERR_OK) fail_msg("%s", err_text());
    assert_int_equal(saved_view(&saved, 0, &o, &view), ERR_OK);
    assert_true(view.is_whole);
    saved_close(&saved);
    if (opened(some, &saved) != ERR_OK) fail_msg("%s", err_text());
    assert_int_equal(saved_view(&saved, 0, &o, &view), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "sae.0 has rows of 4 values"));
    assert_non_null(strstr(err_text(), folder)); /* which file */
    o.width = 2;
    assert_int_equal(saved_view(&saved, 0, &o, &view), ERR_OK);
    assert_int_equal(view.place[0], 1);
    saved_close(&saved);
}

static void malformed_words_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"rows\": 20, \"saes\": 1}",
        "{\"rows\": 20, \"saes\": 1, \"steps\": 5, \"reuse\": -1, \"seed\": 7, \"batch_rows\": 4}",
        "{\"rows\": 20, \"saes\": 1, \"steps\": 5, \"reuse\": 1, \"seed\": 7, \"batch_rows\": 0}",
        "{\"rows\": -1, \"saes\": 1, \"steps\": 5, \"reuse\": 1, \"seed\": 7, \"batch_rows\": 4}"};
    struct saved saved;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (opened(bad[i], &saved) != ERR_FORMAT) fail_msg("%s is taken", bad[i]);
        assert_non_null(strstr(err_text(), "the section 'trainer' is malformed"));
    }
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return dir_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_older_build_did_not_write_is_not_made_up),
        cmocka_unit_test(hooks_that_do_not_fit_are_refused),
        cmocka_unit_test(malformed_words_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
