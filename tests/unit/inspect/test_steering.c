/* Several SAEs at once, as they are told and as they steer; and what a sweep measures. */
#include "inspect/dose.h"
#include "inspect/fidelity.h"
#include "inspect/strengths.h"
#include "tests/unit/inspect/tiny_subject.h"

static const int32_t prompt[] = {TINY_BOS, 't', 'h', 'e', ' ', 'c', 'a', 't'};
enum { PROMPT = sizeof prompt / sizeof *prompt, TOKENS = 20 };

struct two { /* SAEs of two hooks of one tiny model */
    struct subject lower, upper;
    struct steering steering;
    struct llama_hooks hooks;
    struct llama_player *player;
};

static void tiny_two(struct two *t)
{
    static char path[256];
    struct tiny tiny = {.architecture = "llama", .layers = TINY_LAYERS};
    *t = (struct two){0};
    tiny_subject("resid_post.0", &t->lower);
    tiny_subject("resid_post.1", &t->upper);
    t->upper.fingerprint++;
    assert_int_equal(steering_add(&t->steering, &t->lower, "lower"), ERR_OK);
    assert_int_equal(steering_add(&t->steering, &t->upper, "upper"), ERR_OK);
    assert_int_equal(steering_hooks(&t->steering, &t->hooks), ERR_OK);
    snprintf(path, sizeof path, "%s", in_folder("two.gguf"));
    tiny_write(path, &tiny);
    struct llama_runner_options options = {.path = path, .context_tokens = 128, .threads = 1};
    int result = llama_player_open(&options, &t->hooks, &t->player);
    if (result != ERR_OK) fail_msg("%s", err_text());
    assert_int_equal(steering_check_widths(&t->steering, &t->hooks), ERR_OK);
}

static void close_two(struct two *t)
{
    llama_player_close(t->player);
    subject_close(&t->lower);
    subject_close(&t->upper);
}

/* ---- as they are told ---- */

static void refused(int result, const char *words)
{
    assert_int_equal(result, ERR_USAGE);
    if (!strstr(err_text(), words)) fail_msg("no '%s' in: %s", words, err_text());
    if (!strstr(err_text(), "HINT")) fail_msg("no HINT in: %s", err_text());
}

static void features_are_read(void **state)
{
    static const char *const wrong[] = {
        "",          "3",       "3=",      "3=x",     "=4x",          "3=4x,",  "-1=2",
        "3=4y",      "3=nan",   "3=1,3=2", "3=inf",   "24=1",         "upper:", "upper",
        "other:3=1", "upper:x", "3=1,:4=", "lower:3", "99999999999=1"};
    struct two t;
    (void)state;
    tiny_two(&t);
    struct steering *s = &t.steering;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (steering_parse(wrong[i], 0, s) != ERR_USAGE) fail_msg("'%s' is taken", wrong[i]);
    refused(steering_parse("3=1", 0, s), "no feature of upper is steered");
    refused(steering_parse("3=1,upper:24=1", 0, s), "feature 24: upper has 0 to 23");
    refused(steering_parse("3=1,nobody:4=1", 0, s), "names being lower, upper");
    assert_int_equal(steering_parse("3=4x,lower:7=-2.5,upper:3=1,upper:9=2x", 0, s), ERR_OK);
    assert_int_equal(s->of[0].count, 2);
    assert_int_equal(s->of[1].count, 2);
    assert_true(isnan(s->of[0].clamp[0].largest) && clamp_value(&s->of[0].clamp[1]) == -2.5);
    refused(steering_parse_largest("8=1", s), "not among --features");
    refused(steering_parse_largest("3=0", s), "FEATURE=ACTIVATION");
    refused(steering_parse_largest("3=-1", s), "FEATURE=ACTIVATION");
    assert_int_equal(steering_parse_largest("3=6,upper:9=5", s), ERR_OK);
    assert_true(s->of[0].clamp[0].largest == 6 && isnan(s->of[0].clamp[1].largest));
    assert_true(clamp_value(&s->of[0].clamp[0]) == 24 && clamp_value(&s->of[1].clamp[1]) == 10);
    assert_int_equal(steering_parse("3,7=-1,upper:9=0.5", 1, s), ERR_OK);
    assert_true(s->of[0].clamp[0].strength == 1 && s->of[0].clamp[1].strength == -1);
    refused(steering_parse("3=4x,upper:9", 1, s), "with --sweep the strengths are told there");
    close_two(&t);
}

static void saes_that_do_not_go_together_are_refused(void **state)
{
    struct two t;
    struct subject third;
    (void)state;
    tiny_two(&t);
    tiny_subject("resid_post.2", &third); /* the lower one's weights */
    refused(steering_add(&t.steering, &third, "third"), "third is lower again");
    third.fingerprint += 2;
    refused(steering_add(&t.steering, &third, "upper"), "two autoencoders are called upper");
    assert_int_equal(steering_same_model(&t.steering), ERR_OK);
    t.lower.model_hash = 5;
    t.upper.model_hash = 6;
    refused(steering_same_model(&t.steering), "are of different models");
    t.upper.model_hash = 0;
    snprintf(t.lower.model_file, sizeof t.lower.model_file, "a/one.gguf");
    snprintf(t.upper.model_file, sizeof t.upper.model_file, "b/one.gguf");
    assert_int_equal(steering_same_model(&t.steering), ERR_OK);
    snprintf(t.upper.model_file, sizeof t.upper.model_file, "b/other.gguf");
    refused(steering_same_model(&t.steering), "are of different models: a/one.gguf");
    snprintf(t.upper.hook[0], sizeof t.upper.hook[0], "resid_post.0");
    assert_int_equal(steering_hooks(&t.steering, &t.hooks), ERR_USAGE);
    subject_close(&third);
    close_two(&t);
}

static void strengths_are_read(void **state)
{
    static const char *const wrong[] = {"",    ",",   "1,",   "1,,2x", "x",     "1x,2",
                                        "nan", "inf", "1,1",  "1 ,2",  "1e999", "x1",
                                        "1y",  " 1",  "1x2x", "4xx"};
    struct strengths s;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (strengths_parse(wrong[i], &s) != ERR_USAGE) fail_msg("'%s' is taken", wrong[i]);
    assert_non_null(strstr(err_text(), "HINT"));
    assert_int_equal(strengths_parse("default", &s), ERR_OK);
    assert_true(s.count == 5 && s.strength[4] == 8 && s.are_times);
    assert_int_equal(strengths_parse("-20,0,35.5", &s), ERR_OK);
    assert_true(s.count == 3 && s.strength[0] == -20 && !s.are_times);
    assert_int_equal(strengths_parse("1x,2x", &s), ERR_OK);
    assert_true(s.count == 2 && s.are_times);
    char many[256] = "0";
    for (int i = 1; i <= STRENGTHS_MOST; i++) sprintf(many + strlen(many), ",%d", i);
    assert_int_equal(strengths_parse(many, &s), ERR_USAGE);
}

/* ---- two hooks ---- */

struct by_hand {
    struct two *t;
    int uses[2];
};

static int edit_by_hand(void *arg, uint32_t hook, uint32_t first, uint32_t rows, float *values)
{
    struct by_hand *h = arg;
    struct clamps one = h->t->steering.of[hook];
    one.steered_rows = 0;
    return h->uses[hook] ? clamp_rows(&one, first, rows, values) : ERR_OK;
}

static void logits_by_hand(struct two *t, int lower, int upper, float *logits)
{
    struct by_hand h = {t, {lower, upper}};
    struct llama_player_watch watch = {edit_by_hand, NULL, &h};
    llama_player_clear(t->player);
    assert_int_equal(llama_player_feed(t->player, prompt, PROMPT, &watch), ERR_OK);
    memcpy(logits, llama_player_logits(t->player), TINY_TOKENS * sizeof *logits);
}

/* Two SAEs at once do what each does by hand at its hook, greedily token by token; and each matters. */
static void two_hooks_are_each_by_hand(void **state)
{
    struct two t;
    struct generation g;
    struct generation_options o = {prompt, PROMPT, TOKENS, 0, 1, NULL, NULL};
    static float logits[TINY_TOKENS], other[TINY_TOKENS];
    (void)state;
    tiny_two(&t);
    assert_int_equal(steering_parse("3=8,upper:5=9", 0, &t.steering), ERR_OK);
    struct by_hand h = {&t, {1, 1}};
    struct llama_player_watch watch = {edit_by_hand, NULL, &h};
    assert_int_equal(generation_make(&o, t.player, &t.steering, GENERATION_STEERED, &g), ERR_OK);
    assert_int_equal(t.steering.of[0].steered_rows, PROMPT + g.count - 1);
    assert_int_equal(t.steering.of[1].steered_rows, PROMPT + g.count - 1);
    llama_player_clear(t.player);
    assert_int_equal(llama_player_feed(t.player, prompt, PROMPT, &watch), ERR_OK);
    for (uint32_t i = 0; i < g.count; i++) {
        const float *l = llama_player_logits(t.player);
        int32_t best = 0;
        for (int32_t v = 1; v < TINY_TOKENS; v++)
            if (l[v] > l[best]) best = v;
        assert_int_equal(g.tokens[i], best);
        assert_int_equal(llama_player_feed(t.player, &best, 1, &watch), ERR_OK);
    }
    logits_by_hand(&t, 1, 1, logits);
    logits_by_hand(&t, 0, 1, other);
    assert_memory_not_equal(logits, other, sizeof logits);
    logits_by_hand(&t, 1, 0, other);
    assert_memory_not_equal(logits, other, sizeof logits);
    generation_free(&g);
    close_two(&t);
}

/* ---- what a sweep measures ---- */

/* p = (1/2, 1/4, 1/4), q = (1/4, 1/4, 1/2): KL(p || q) = ln(2)/2 - ln(2)/4. */
static void kl_is_what_a_hand_computes(void **state)
{
    const float p[] = {logf(2), 0, 0}, q[] = {3, 3, 3 + logf(2)};
    double ce, kl;
    (void)state;
    fidelity_compare(p, fidelity_log_sum(p, 3), q, 3, -1, &ce, &kl);
    assert_true(fabs(kl - log(2) / 4) < 1e-6);
    fidelity_compare(p, fidelity_log_sum(p, 3), p, 3, -1, &ce, &kl);
    assert_true(kl == 0);
}

/* The sum over the predictions is that of the parts, and is not that of the other way round. */
static void a_reading_compares_each_prediction(void **state)
{
    struct two t;
    struct reading r;
    double kl, sum = 0, ce, one;
    static float plain[PROMPT][TINY_TOKENS], steered[TINY_TOKENS];
    (void)state;
    tiny_two(&t);
    assert_int_equal(steering_parse("3=8,upper:5=9", 0, &t.steering), ERR_OK);
    assert_int_equal(reading_make(prompt, PROMPT, 2, &t.steering, t.player, &r), ERR_OK);
    assert_int_equal(r.count, PROMPT - 2);
    assert_int_equal(r.followed, PROMPT - 3);
    memcpy(plain[2], r.logits, r.count * TINY_TOKENS * sizeof(float));
    assert_int_equal(reading_compare(&r, &t.steering, t.player, &kl), ERR_OK);
    for (uint32_t n = 3; n <= PROMPT; n++) { /* each prediction as the last of a shorter prompt */
        struct by_hand h = {&t, {1, 1}};
        struct llama_player_watch watch = {edit_by_hand, NULL, &h};
        llama_player_clear(t.player);
        assert_int_equal(llama_player_feed(t.player, prompt, n, &watch), ERR_OK);
        memcpy(steered, llama_player_logits(t.player), sizeof steered);
        fidelity_compare(plain[n - 1], fidelity_log_sum(plain[n - 1], TINY_TOKENS), steered,
                         TINY_TOKENS, -1, &ce, &one);
        sum += one;
    }
    assert_true(kl > 1e-4 && fabs(kl - sum) < 1e-3 * sum);
    reading_free(&r);
    close_two(&t);
}

static void repeats_are_counted(void **state)
{
    static const int32_t loop[] = {1, 2, 1, 2, 1, 2, 1, 2}, none[] = {1, 2, 3, 4, 5, 6};
    uint32_t repeats, runs;
    (void)state;
    dose_repeats(loop, 8, &repeats, &runs);
    assert_true(runs == 5 && repeats == 3); /* 1212 and 2121 are new once each */
    dose_repeats(none, 6, &repeats, &runs);
    assert_true(runs == 3 && repeats == 0);
    dose_repeats(none, 3, &repeats, &runs);
    assert_true(runs == 0 && repeats == 0);
}

/* Strength 0 is the model as it is, to the last bit; more is further away; the control moves rows as
 * far on the first token and elsewhere. */
static void strength_zero_is_the_model_itself(void **state)
{
    struct two t;
    struct doses d;
    struct dose zero, zero_control, one, control;
    uint8_t spared[PROMPT] = {1};
    (void)state;
    tiny_two(&t);
    assert_int_equal(steering_parse("3,upper:5=2", 1, &t.steering), ERR_OK);
    for (int h = 0; h < 2; h++) t.steering.of[h].clamp[0].largest = 4;
    steering_set(&t.steering, 0, UINT32_MAX, NULL, 1);
    struct dose_options o = {
        {prompt, PROMPT, TOKENS, 1, 5, NULL, NULL}, 3, prompt, PROMPT, spared, 9};
    assert_int_equal(doses_open(&o, &t.steering, t.player, &d), ERR_OK);
    assert_int_equal(dose_measure(&d, 0, 0, &zero), ERR_OK);
    assert_int_equal(dose_measure(&d, 0, 1, &zero_control), ERR_OK);
    assert_int_equal(dose_measure(&d, 2, 0, &one), ERR_OK);
    assert_int_equal(dose_measure(&d, 2, 1, &control), ERR_OK);
    assert_true(zero.kl_own == 0 && zero.kl_given == 0 && zero.moved == 0);
    assert_true(zero.steered_rows == 0 && zero.generated > 0);
    assert_true(zero_control.kl_own == 0 && zero_control.perplexity == zero.perplexity);
    assert_true(one.kl_own > 0 && one.kl_given > 0 && one.perplexity > 1);
    assert_true(fabs(one.moved - control.moved) < 1e-3 * one.moved);
    assert_true(one.kl_own != control.kl_own);
    assert_true(one.fires >= 0 && one.fires <= 1);
    /* of a clamp, too, for which 0 would be a value like others */
    steering_set(&t.steering, 0, UINT32_MAX, NULL, 0);
    assert_int_equal(dose_measure(&d, 0, 0, &zero_control), ERR_OK);
    assert_true(zero_control.kl_own == 0 && zero_control.kl_given == 0);
    assert_true(zero_control.perplexity == zero.perplexity && zero_control.steered_rows == 0);
    doses_close(&d);
    close_two(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_are_read),
        cmocka_unit_test(saes_that_do_not_go_together_are_refused),
        cmocka_unit_test(strengths_are_read),
        cmocka_unit_test(two_hooks_are_each_by_hand),
        cmocka_unit_test(kl_is_what_a_hand_computes),
        cmocka_unit_test(a_reading_compares_each_prediction),
        cmocka_unit_test(repeats_are_counted),
        cmocka_unit_test(strength_zero_is_the_model_itself),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
