/* Clamped features, by rows and in a model that goes on. */
#include "inspect/generation.h"
#include "tests/unit/inspect/tiny_subject.h"

enum { ROWS = 40 };

static float rows[ROWS * TINY_WIDTH], steered[ROWS * TINY_WIDTH];

static void make_rows(void)
{
    struct rng rng;
    rng_seed(&rng, 12);
    for (int i = 0; i < ROWS * TINY_WIDTH; i++) rows[i] = (float)rng_normal(&rng);
    memcpy(steered, rows, sizeof rows);
}

static struct clamps of(struct subject *s, const char *text, const char *largest)
{
    struct steering steering = {0};
    if (steering_add(&steering, s, "tiny") != ERR_OK) fail_msg("%s", err_text());
    if (steering_parse(text, 0, &steering) != ERR_OK) fail_msg("%s", err_text());
    if (largest && steering_parse_largest(largest, &steering) != ERR_OK) fail_msg("%s", err_text());
    return steering.of[0];
}

static float *value_of(const struct pairs *p, uint64_t row, uint32_t feature)
{
    for (uint64_t i = p->start[row]; i < p->start[row + 1]; i++)
        if (p->feature[i] == feature) return &p->value[i];
    return NULL;
}

/* x + (c - f_i) W_dec,i is SAE(x) with f_i replaced, and the error. */
static void a_clamp_keeps_the_error(void **state)
{
    struct subject s;
    struct pairs pairs;
    float made[ROWS * TINY_WIDTH], replaced[ROWS * TINY_WIDTH];
    int replacements = 0;
    (void)state;
    tiny_subject("resid_post.1", &s);
    make_rows();
    struct clamps c = of(&s, "3=2x", "3=1.5");
    assert_int_equal(clamp_rows(&c, 0, ROWS, steered), ERR_OK);
    assert_int_equal(c.steered_rows, ROWS);
    assert_int_equal(subject_encode(&s, rows, ROWS, &pairs), ERR_OK);
    subject_decode(&s, rows, &pairs, made);
    for (uint64_t r = 0; r < ROWS; r++) {
        float *value = value_of(&pairs, r, 3);
        if (value) *value = 3;
        replacements += value != NULL;
    }
    assert_true(replacements > 5);
    subject_decode(&s, rows, &pairs, replaced);
    for (uint64_t r = 0; r < ROWS; r++)
        for (size_t i = r * TINY_WIDTH; value_of(&pairs, r, 3) && i < (r + 1) * TINY_WIDTH; i++) {
            double should = (double)replaced[i] + ((double)rows[i] - (double)made[i]);
            if (!(fabs(should - (double)steered[i]) < 1e-4))
                fail_msg("row %d: %g, not %g", (int)r, (double)steered[i], should);
        }
    pairs_free(&pairs);
    subject_close(&s);
}

/* To the value that it has already: nothing changes, but for the last bits of a value that was
 * computed beside other rows. */
static void a_clamp_to_what_is_changes_nothing(void **state)
{
    struct subject s;
    struct pairs pairs;
    (void)state;
    tiny_subject("resid_post.1", &s);
    make_rows();
    assert_int_equal(subject_encode(&s, rows, ROWS, &pairs), ERR_OK);
    for (uint64_t r = 0; r < ROWS; r++) {
        struct clamps c = {.subject = &s, .last = UINT32_MAX, .count = 1};
        uint64_t at = pairs.start[r];
        if (at == pairs.start[r + 1]) continue;
        c.clamp[0] = (struct clamp){
            .feature = pairs.feature[at], .strength = 1, .largest = (double)pairs.value[at]};
        assert_int_equal(clamp_rows(&c, 0, 1, steered + r * TINY_WIDTH), ERR_OK);
        assert_true(c.moved < 1e-5 && c.steered_rows == 1);
    }
    for (int i = 0; i < ROWS * TINY_WIDTH; i++)
        assert_true(fabs((double)rows[i] - (double)steered[i]) < 1e-5);
    pairs_free(&pairs);
    subject_close(&s);
}

static void an_addition_is_one_whatever_is_there(void **state)
{
    struct subject s;
    (void)state;
    tiny_subject("resid_post.1", &s);
    make_rows();
    struct clamps c = of(&s, "3=2.5,9=-1", NULL);
    c.adds = 1;
    assert_int_equal(clamp_rows(&c, 0, ROWS, steered), ERR_OK);
    const float *a = subject_direction(&s, 3), *b = subject_direction(&s, 9);
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < TINY_WIDTH; i++) {
            double by = (double)steered[r * TINY_WIDTH + i] - (double)rows[r * TINY_WIDTH + i];
            assert_true(fabs(by - (2.5 * (double)a[i] - (double)b[i])) < 1e-5);
        }
    subject_close(&s);
}

/* Positions that are not told, and rows that are spared, keep what they have; those that are steered
 * are counted. */
static void only_what_is_told_is_steered(void **state)
{
    struct subject s;
    uint8_t spared[ROWS + 10] = {0};
    (void)state;
    tiny_subject("resid_post.1", &s);
    make_rows();
    struct clamps c = of(&s, "3=50", NULL);
    c.first = 15;
    c.last = 30;
    spared[20] = 1;
    c.spared = spared;
    assert_int_equal(clamp_rows(&c, 10, ROWS, steered), ERR_OK);
    assert_int_equal(c.steered_rows, 15);
    for (int r = 0; r < ROWS; r++) {
        int is = memcmp(rows + r * TINY_WIDTH, steered + r * TINY_WIDTH, TINY_WIDTH * 4) != 0;
        assert_int_equal(is, r + 10 >= 15 && r + 10 <= 30 && r + 10 != 20);
    }
    subject_close(&s);
}

/* Where rows are spared, so are those beyond the SAE's norm limit. */
static void what_is_too_long_is_spared(void **state)
{
    struct subject s;
    static const uint8_t none[ROWS];
    (void)state;
    for (int spares = 0; spares < 2; spares++) {
        tiny_subject("resid_post.1", &s);
        s.hook_limit[0] = 100;
        make_rows();
        rows[7 * TINY_WIDTH] = steered[7 * TINY_WIDTH] = 101;
        struct clamps c = of(&s, "3=50", NULL);
        c.last = UINT32_MAX;
        c.spared = spares ? none : NULL;
        assert_int_equal(clamp_rows(&c, 0, ROWS, steered), ERR_OK);
        assert_int_equal(c.steered_rows, ROWS - spares);
        size_t at = (size_t)7 * TINY_WIDTH;
        assert_int_equal(memcmp(rows + at, steered + at, TINY_WIDTH * sizeof *rows) == 0, spares);
        subject_close(&s);
    }
}

/* A control is as long as what it is beside, elsewhere, and the same for the same seed. */
static void random_directions_are_as_long(void **state)
{
    struct subject s;
    (void)state;
    tiny_subject("resid_post.1", &s);
    make_rows();
    struct clamps c = of(&s, "3=2.5,9=-1", NULL);
    float *a = clamp_random_directions(&c, 7), *b = clamp_random_directions(&c, 7),
          *other = clamp_random_directions(&c, 8);
    assert_true(a && b && other);
    assert_memory_equal(a, b, 2 * TINY_WIDTH * sizeof *a);
    assert_memory_not_equal(a, other, 2 * TINY_WIDTH * sizeof *a);
    for (uint32_t k = 0; k < 2; k++) {
        const float *own = subject_direction(&s, c.clamp[k].feature), *made = a + k * TINY_WIDTH;
        double length = 0, wanted = 0, dot = 0;
        for (int i = 0; i < TINY_WIDTH; i++) {
            length += (double)made[i] * (double)made[i];
            wanted += (double)own[i] * (double)own[i];
            dot += (double)made[i] * (double)own[i];
        }
        assert_true(fabs(length - wanted) < 1e-5 * wanted);
        assert_true(fabs(dot) < 0.7 * wanted);
    }
    /* and rows are moved along them, as far as by the features' own */
    c.count = 1;
    c.adds = 1;
    assert_int_equal(clamp_rows(&c, 0, ROWS, steered), ERR_OK);
    double far = c.moved;
    c.moved = 0;
    c.directions = a;
    memcpy(steered, rows, sizeof rows);
    assert_int_equal(clamp_rows(&c, 0, ROWS, steered), ERR_OK);
    assert_true(fabs(c.moved - far) < 1e-4 * far);
    for (int i = 0; i < TINY_WIDTH; i++)
        assert_true(fabs((double)steered[i] - (double)rows[i] - 2.5 * (double)a[i]) < 1e-5);
    free(a);
    free(b);
    free(other);
    subject_close(&s);
}

/* ---- texts ---- */

static const int32_t prompt[] = {TINY_BOS, 't', 'h', 'e', ' ', 'c', 'a', 't'};
enum { PROMPT = sizeof prompt / sizeof *prompt, TOKENS = 24 };

static struct generation generate(struct subject *s, struct llama_player *player,
                                  struct clamps *clamps, double temperature, uint64_t seed)
{
    struct generation g;
    struct generation_options o = {prompt, PROMPT, TOKENS, temperature, seed, NULL, NULL};
    struct steering steering = {.count = 1};
    steering.of[0] = clamps ? *clamps : (struct clamps){.subject = s};
    int result = generation_make(&o, player, &steering,
                                 clamps ? GENERATION_STEERED : GENERATION_WATCHED, &g);
    if (result != ERR_OK) fail_msg("%s", err_text());
    assert_true(g.count > 0 && g.count <= TOKENS);
    assert_int_equal(g.norms_count[0], PROMPT - 1 + g.count - 1);
    if (clamps) *clamps = steering.of[0];
    return g;
}

static int same(const struct generation *a, const struct generation *b)
{
    return a->count == b->count && memcmp(a->tokens, b->tokens, a->count * 4) == 0;
}

static void seeds_and_clamps_make_texts(void **state)
{
    struct subject s;
    struct llama_hooks hooks;
    (void)state;
    tiny_subject("resid_post.1", &s);
    struct llama_player *player = tiny_player("llama", "resid_post.1", &hooks);
    struct clamps none = {.subject = &s, .last = UINT32_MAX}, strong = of(&s, "3=60", NULL);
    struct generation a = generate(&s, player, NULL, 1, 5), b = generate(&s, player, NULL, 1, 5),
                      c = generate(&s, player, NULL, 1, 6), d = generate(&s, player, &none, 1, 5),
                      e = generate(&s, player, &strong, 1, 5);
    assert_true(same(&a, &b) && same(&a, &d) && a.nats == b.nats && a.nats > 0);
    assert_false(same(&a, &c));
    assert_false(same(&a, &e));
    assert_int_equal(strong.steered_rows, PROMPT + e.count - 1);
    assert_int_equal(none.steered_rows, 0);
    struct generation f = generate(&s, player, NULL, 0, 1), g = generate(&s, player, NULL, 0, 2);
    assert_true(same(&f, &g)); /* the likeliest, whatever the seed */
    double median = generation_median_norm(&a, 0);
    uint32_t below = 0;
    for (uint32_t i = 0; i < a.norms_count[0]; i++) below += a.norms[0][i] < median;
    assert_true(below <= a.norms_count[0] / 2 && below + 1 >= a.norms_count[0] / 2);
    struct generation *all[] = {&a, &b, &c, &d, &e, &f, &g};
    for (size_t i = 0; i < 7; i++) generation_free(all[i]);
    llama_player_close(player);
    subject_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clamp_keeps_the_error),
        cmocka_unit_test(a_clamp_to_what_is_changes_nothing),
        cmocka_unit_test(an_addition_is_one_whatever_is_there),
        cmocka_unit_test(only_what_is_told_is_steered),
        cmocka_unit_test(what_is_too_long_is_spared),
        cmocka_unit_test(random_directions_are_as_long),
        cmocka_unit_test(seeds_and_clamps_make_texts),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
