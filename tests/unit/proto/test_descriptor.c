/* The stream's descriptor: there and back, what is refused, what must match on resume. */
#include "base/err.h"
#include "proto/descriptor.h"
#include "proto/frame.h"
#include "proto/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static float mean[3] = {0.1f, -1.5e-30f, 3.4e38f};

static struct descriptor make(void)
{
    struct descriptor d = {
        .stream = "s",
        .dtype = DTYPE_BF16,
        .width = 3,
        .hooks = 2,
        .engine = "llama",
        .model = "a \"model\"",
        .model_hash = 0xfedcba9876543210u,
        .precision = "f32",
        .corpus_hash = 3,
        .context_tokens = 512,
        .prepends_bos = 1,
        .share_count = 2,
        .max_norm_ratio = 10,
        .run = 9,
        .rows_per_slab = 100,
        .measured = 1,
        .mean = mean,
        .measured_rows = 1000,
        .planned_rows = (uint64_t)1 << 40,
        .held_out_one_in = 19,
    };
    d.hook[0] = (struct descriptor_hook){"resid_post.1", 1, 3.25, 32.5, 0.1234567};
    d.hook[1] = (struct descriptor_hook){"resid_post.2", 2, 4, 40, 0.5};
    return d;
}

static struct descriptor there_and_back(const struct descriptor *d)
{
    struct descriptor back;
    char *text;
    size_t bytes;
    assert_int_equal(descriptor_encode(d, &text, &bytes), 0);
    assert_int_equal(descriptor_decode(text, bytes, &back), 0);
    free(text);
    return back;
}

static void round_trip(void **state)
{
    (void)state;
    struct descriptor d = make(), back = there_and_back(&d);
    assert_int_equal(back.model_hash, d.model_hash);
    assert_string_equal(back.model, d.model);
    assert_int_equal(back.planned_rows, d.planned_rows);
    assert_int_equal(back.held_out_one_in, 19);
    assert_int_equal(back.measured, 1);
    assert_float_equal(back.hook[0].scale, 0.1234567, 1e-9);
    assert_float_equal(back.hook[1].norm_limit, 40, 0);
    assert_memory_equal(back.mean, mean, sizeof mean); /* 9 digits bring a float32 back as it was */
    assert_int_equal(descriptor_match(&d, &back), 0);
    descriptor_free(&back);
    d.measured = 0;
    d.drops_tokens = 1;
    back = there_and_back(&d);
    assert_int_equal(back.measured, 0);
    assert_int_equal(back.drops_tokens, 1);
    assert_null(back.mean);
    descriptor_free(&back);
}

static void changed_keys_are_named(void **state)
{
    (void)state;
    struct descriptor d = make();
    const struct {
        const char *words[3];
        size_t offset;
        char byte;
    } changes[] = {
        {{"stream.dtype", "bf16", "f32"}, offsetof(struct descriptor, dtype), DTYPE_F32},
        {{"fingerprint", "fedcba9876543210", "fedcba98765432ff"},
         offsetof(struct descriptor, model_hash),
         (char)0xff},
        {{"corpus", "0000000000000003", "0000000000000004"},
         offsetof(struct descriptor, corpus_hash),
         4},
        {{"context_tokens", "512", "513"}, offsetof(struct descriptor, context_tokens), 1},
        {{"capture.producers", "2", "3"}, offsetof(struct descriptor, share_count), 3},
        {{"policy", "block", "shed"}, offsetof(struct descriptor, shed), 1},
        {{"precision", "f32", "q32"}, offsetof(struct descriptor, precision), 'q'},
        {{"hooks", "resid_post.1", "Xesid_post.1"}, offsetof(struct descriptor, hook), 'X'},
        {{"keep_sinks", "false", "true"}, offsetof(struct descriptor, keep_sinks), 1},
        {{"keep_tokens", "true", "false"}, offsetof(struct descriptor, drops_tokens), 1},
        {{"rows_a_slab", "", ""}, 0, 0},
    };
    for (size_t i = 0; i + 1 < sizeof changes / sizeof *changes; i++) {
        struct descriptor now = make();
        ((char *)&now)[changes[i].offset] = changes[i].byte;
        assert_int_equal(descriptor_match(&d, &now), ERR_MISMATCH);
        for (int w = 0; w < 3; w++)
            if (!strstr(err_text(), changes[i].words[w]))
                fail_msg("\"%s\" is not in \"%s\"", changes[i].words[w], err_text());
    }
    struct descriptor now = make(); /* what a producer does not know yet is no difference */
    now.run = 0;
    now.rows_per_slab = 0;
    now.measured = 0;
    now.planned_rows = 0;
    assert_int_equal(descriptor_match(&d, &now), 0);
    now.rows_per_slab = 101;
    assert_int_equal(descriptor_match(&d, &now), ERR_MISMATCH);
}

/* A hash that differs blames the setting that was changed; else what its engine reads. */
static void the_setting_behind_a_hash_is_named(void **state)
{
    (void)state;
    static const char told[] = "synthetic.rows: 300\nsynthetic.seed: 1\n";
    static const struct {
        const char *engine, *then, *now;
        uint64_t model_hash, corpus_hash; /* of now; then 5 and 6 */
        const char *words[3];
    } all[] = {
        {"synthetic",
         told,
         "synthetic.rows: 400\nsynthetic.seed: 1\n",
         5,
         7,
         {"capture.synthetic.rows has changed", "it was '300'", "now it is '400'"}},
        {"synthetic",
         told,
         "synthetic.seed: 2\nsynthetic.rows: 300\n",
         8,
         7,
         {"capture.synthetic.seed has changed", "it was '1'", "now it is '2'"}},
        {"synthetic", "", told, 5, 7, {"capture.synthetic.rows or .sequence_rows", "", ""}},
        {"synthetic", told, "", 8, 7, {"capture.synthetic (the", "", ""}},
        {"synthetic", told, told, 5, 7, {"capture.synthetic.rows or .sequence_rows", "", ""}},
        {"files", "", "", 8, 7, {"capture.files (the fingerprint", "", ""}},
        {"files", "tensor: \n", "tensor: b\n", 8, 7, {"capture.tensor has", "was ''", "is 'b'"}},
        {"llama", "", "", 5, 7, {"capture.corpus (the fingerprint", "", ""}},
        {"llama", "", "", 8, 6, {"stream.model (the fingerprint", "", ""}},
        {"llama", "pack: true\n", "pack: false\n", 5, 7, {"capture.pack has", "'true'", "'false'"}},
        {"of somebody", "", "", 5, 7, {"the fingerprint of what rows are made of", "", ""}},
        {"llama", "no line", "nor this", 5, 7, {"capture.corpus (", "", ""}},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct descriptor then = make(), now;
        strcpy(then.engine, all[i].engine);
        then.model_hash = 5;
        then.corpus_hash = 6;
        now = then;
        strcpy(then.settings, all[i].then);
        strcpy(now.settings, all[i].now);
        assert_int_equal(descriptor_match(&then, &now), ERR_OK); /* they are not compared */
        now.model_hash = all[i].model_hash;
        now.corpus_hash = all[i].corpus_hash;
        now.hook[0].width++; /* what follows is not blamed */
        assert_int_equal(descriptor_match(&then, &now), ERR_MISMATCH);
        for (int w = 0; w < 3; w++)
            if (!strstr(err_text(), all[i].words[w])) fail_msg("%zu: %s", i, err_text());
    }
    struct descriptor then = make(), now = make();
    strcpy(now.engine, "files");
    strcpy(now.hook[0].name, "files");
    assert_int_equal(descriptor_match(&then, &now), ERR_MISMATCH);
    assert_non_null(strstr(err_text(), "capture.engine"));
    now = make();
    now.corpus_hash++; /* of an older build: what is known by itself is named */
    now.context_tokens = 64;
    assert_int_equal(descriptor_match(&then, &now), ERR_MISMATCH);
    assert_non_null(strstr(err_text(), "capture.context_tokens"));
}

/* Every cut of a descriptor, and each with a field taken out or of another type, is refused. */
static void bad_ones_are_refused(void **state)
{
    (void)state;
    struct descriptor d = make(), back;
    char *text;
    size_t bytes;
    assert_int_equal(descriptor_encode(&d, &text, &bytes), 0);
    for (size_t n = 0; n < bytes; n++) assert_int_not_equal(descriptor_decode(text, n, &back), 0);
    static const char *const keys[] = {
        "version",    "stream",       "hooks",       "width",  "dtype",          "engine",
        "model_hash", "corpus_hash",  "share_count", "policy", "max_norm_ratio", "rows_a_slab",
        "scale",      "planned_rows", "norm_limit",  "run",    "precision",      "prepends_bos",
    };
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        char quoted[64];
        snprintf(quoted, sizeof quoted, "\"%s\":", keys[k]);
        char *at = strstr(text, quoted);
        assert_non_null(at);
        at[1] ^= 1; /* another key */
        assert_int_not_equal(descriptor_decode(text, bytes, &back), 0);
        at[1] ^= 1;
    }
    char *width = strstr(text, "\"width\":3");
    assert_non_null(width);
    width[8] = '4'; /* no longer the sum of the hooks */
    assert_int_equal(descriptor_decode(text, bytes, &back), ERR_FORMAT);
    free(text);
}

/* Values that are no numbers, or none of those that they stand for. */
static void bad_values_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *old, *new, *says;
    } bad[] = {{"0.100000001", "\"no timers\"", "value 0 of \"mean\""},
               {"0.100000001", "null       ", "value 0 of \"mean\""},
               {"0.100000001", "1.000000e99", "value 0 of \"mean\""},
               {"\"scale\":0.5", "\"scale\":1e9", ""},
               {"\"scale\":0.1234567", "\"scale\":1.2e-99  ", "scale of resid_post.1"},
               {"\"scale\":0.1234567", "\"scale\":1.2e99   ", "scale of resid_post.1"},
               {"\"block\"", "\"blokc\"", "policy \"blokc\" is neither"},
               {"\"width\":3", "\"width\" 3", "no JSON: byte "}};
    struct descriptor d = make(), back;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *text;
        size_t bytes;
        assert_int_equal(strlen(bad[i].old), strlen(bad[i].new));
        assert_int_equal(descriptor_encode(&d, &text, &bytes), ERR_OK);
        char *at = strstr(text, bad[i].old);
        assert_non_null(at);
        memcpy(at, bad[i].new, strlen(bad[i].new));
        int result = descriptor_decode(text, bytes, &back);
        free(text);
        if (!result) descriptor_free(&back);
        if (!bad[i].says[0]) {
            assert_int_equal(result, ERR_OK);
            continue;
        }
        if (result != ERR_FORMAT || !strstr(err_text(), bad[i].says))
            fail_msg("%zu: %s, %s", i, err_str(result), result ? err_text() : "");
    }
}

static void preparation_is_told_and_not_compared(void **state)
{
    (void)state;
    struct descriptor old = make(), d = make();
    strcpy(d.source_precision, "q4_1");
    d.layers_kept = 17;
    d.prepared_fve = 0.9993;
    struct descriptor back = there_and_back(&d), before = there_and_back(&old);
    assert_string_equal(back.source_precision, "q4_1");
    assert_int_equal(back.layers_kept, 17);
    assert_true(back.prepared_fve == 0.9993);
    assert_string_equal(before.source_precision, "");
    assert_int_equal(before.layers_kept, 0);
    assert_true(before.prepared_fve == 0);
    assert_int_equal(descriptor_match(&before, &back), ERR_OK);
    descriptor_free(&back);
    descriptor_free(&before);
}

/* As wide as a row may be, with the longest names and numbers that JSON can make of the fields. */
static struct descriptor largest(void)
{
    struct descriptor d = {.dtype = DTYPE_BF16,
                           .width = ROW_MAX_WIDTH,
                           .hooks = ROW_MAX_HOOKS,
                           .model_hash = UINT64_MAX,
                           .corpus_hash = UINT64_MAX,
                           .context_tokens = UINT32_MAX,
                           .share_count = UINT32_MAX,
                           .max_norm_ratio = -1.23456789e-300,
                           .layers_kept = 1 << 20,
                           .prepared_fve = -1.23456789e-300,
                           .run = UINT64_MAX,
                           .rows_per_slab = FRAME_MAX_ROWS,
                           .measured_rows = INT64_MAX,
                           .planned_rows = INT64_MAX,
                           .held_out_one_in = UINT32_MAX};
    memset(d.stream, 1, sizeof d.stream - 1); /* \u0001 */
    memset(d.engine, 1, sizeof d.engine - 1);
    memset(d.model, 1, sizeof d.model - 1);
    memset(d.precision, 1, sizeof d.precision - 1);
    memset(d.settings, 1, sizeof d.settings - 1);
    memset(d.source_precision, 1, sizeof d.source_precision - 1);
    for (uint32_t h = 0; h < d.hooks; h++) {
        struct descriptor_hook *hook = &d.hook[h];
        memset(hook->name, 1, sizeof hook->name - 1);
        hook->width = ROW_MAX_WIDTH / ROW_MAX_HOOKS;
        hook->norm_median = hook->norm_limit = -1.23456789e-300;
        hook->scale = 1.23456789e-38; /* has to be a float32 above 0 */
    }
    return d;
}

/* What the bounds in proto/message.h are held against by the compiler are those of real text. */
static void the_largest_finds_room_in_its_messages(void **state)
{
    (void)state;
    struct descriptor d = largest(), back;
    char *text;
    size_t bytes;
    assert_int_equal(descriptor_encode(&d, &text, &bytes), ERR_OK);
    print_message("unmeasured: %zu bytes of %d\n", bytes, MESSAGE_MAX_HELLO_BYTES);
    assert_true(bytes <= DESCRIPTOR_MAX_UNMEASURED_BYTES && bytes <= MESSAGE_MAX_HELLO_BYTES);
    assert_true(bytes > DESCRIPTOR_MAX_UNMEASURED_BYTES * 3 / 4); /* and they bound it closely */
    assert_int_equal(descriptor_decode(text, bytes, &back), ERR_OK);
    descriptor_free(&back);
    free(text);
    d.measured = 1;
    d.mean = malloc(ROW_MAX_WIDTH * sizeof *d.mean);
    for (int i = 0; i < ROW_MAX_WIDTH; i++) d.mean[i] = -1.40129846e-45f;
    assert_int_equal(descriptor_encode(&d, &text, &bytes), ERR_OK);
    print_message("measured: %zu bytes of %d\n", bytes, MESSAGE_MAX_TEXT_BYTES);
    assert_non_null(strstr(text, "-1.40129846e-45,")); /* no float32 is longer */
    assert_true(bytes <= DESCRIPTOR_MAX_BYTES && bytes <= MESSAGE_MAX_TEXT_BYTES);
    assert_true(bytes > DESCRIPTOR_MAX_BYTES * 3u / 4);
    assert_int_equal(descriptor_decode(text, bytes, &back), ERR_OK);
    assert_int_equal(descriptor_match(&d, &back), ERR_OK);
    descriptor_free(&back);
    free(text);
    free(d.mean);
}

static void too_wide_is_said(void **state)
{
    (void)state;
    struct descriptor d = make();
    char *text;
    size_t bytes;
    d.width = d.hook[0].width = ROW_MAX_WIDTH + 1;
    d.hooks = 1;
    assert_int_equal(descriptor_encode(&d, &text, &bytes), ERR_LIMIT);
    assert_non_null(strstr(err_text(), "stream.hooks"));
    d = make();
    d.hooks = ROW_MAX_HOOKS + 1;
    assert_int_equal(descriptor_encode(&d, &text, &bytes), ERR_LIMIT);
}

static void held_out_share(void **state)
{
    (void)state;
    assert_int_equal(descriptor_held_out(0, 16384), 256);
    assert_int_equal(descriptor_held_out((uint64_t)1 << 40, 16384), 256);
    assert_int_equal(descriptor_held_out(1638400, 16384), 100);
    assert_int_equal(descriptor_held_out(1000, 16384), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(changed_keys_are_named),
        cmocka_unit_test(the_setting_behind_a_hash_is_named),
        cmocka_unit_test(bad_ones_are_refused),
        cmocka_unit_test(bad_values_are_told),
        cmocka_unit_test(the_largest_finds_room_in_its_messages),
        cmocka_unit_test(too_wide_is_said),
        cmocka_unit_test(held_out_share),
        cmocka_unit_test(preparation_is_told_and_not_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
