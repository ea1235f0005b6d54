/* The logit lens against the model's own logits, and both effects of a feature on a token. */
#include "inspect/attribution.h"
#include "tests/unit/inspect/tiny_subject.h"

static const char text[] = "the cat sat on the mat";

/* ---- lens ---- */

struct rows { /* of the last layer, and the logits that the model made of them */
    uint32_t hook, vocabulary;
    float row[64][TINY_WIDTH];
    float logits[64][TINY_TOKENS + 61];
};

static int keep_rows(void *arg, uint32_t hook, uint32_t first, uint32_t rows, float *values)
{
    struct rows *r = arg;
    if (hook == r->hook) memcpy(r->row[first], values, sizeof r->row[0] * rows);
    return ERR_OK;
}

static int keep_logits(void *arg, uint32_t first, uint32_t rows, const float *logits)
{
    struct rows *r = arg;
    for (uint32_t i = 0; i < rows; i++) {
        double sum = 0;
        for (uint32_t v = 0; v < r->vocabulary; v++)
            sum += (double)logits[(size_t)i * r->vocabulary + v];
        for (uint32_t v = 0; v < r->vocabulary; v++)
            r->logits[first + i][v] =
                (float)((double)logits[(size_t)i * r->vocabulary + v] - sum / r->vocabulary);
    }
    return ERR_OK;
}

struct read {
    uint32_t vocabulary, count;
    float (*logits)[TINY_TOKENS + 61];
};

static void keep_read(void *arg, uint32_t index, float *logits)
{
    struct read *r = arg;
    assert_int_equal(index, r->count++);
    memcpy(r->logits[index], logits, r->vocabulary * sizeof *logits);
}

/* A row's own lens, by its divisor, is what the model makes of it, but for what the norm and the
 * unembedding add of their own, which is one for all rows. */
static void the_lens_is_the_models(const char *architecture, int centres)
{
    static struct rows rows;
    static float read_logits[64][TINY_TOKENS + 61];
    struct llama_hooks hooks;
    struct lens lens;
    struct llama_player *player = tiny_player(architecture, "resid_post.2", &hooks);
    int32_t tokens[40];
    for (int i = 0; i < 40; i++) tokens[i] = 'a' + i % 20;
    rows = (struct rows){.vocabulary = (uint32_t)llama_runner_tokens(llama_player_runner(player))};
    assert_true(rows.vocabulary <= TINY_TOKENS + 61);
    struct llama_player_watch watch = {keep_rows, keep_logits, &rows};
    assert_int_equal(llama_player_feed(player, tokens, 40, &watch), ERR_OK);
    assert_int_equal(lens_open(player, &hooks, 0, &lens), ERR_OK);
    assert_int_equal(lens.centres, centres);
    struct read read = {rows.vocabulary, 0, read_logits};
    assert_int_equal(lens_read(&lens, rows.row[0], 40, keep_read, &read), ERR_OK);
    assert_int_equal(read.count, 40);
    double most = 0, size = 0;
    for (int i = 1; i < 40; i++)
        for (uint32_t v = 0; v < rows.vocabulary; v++) {
            double a = (double)read_logits[i][v] / lens_divisor(&lens, rows.row[i]);
            double b = (double)read_logits[0][v] / lens_divisor(&lens, rows.row[0]);
            double is = a - b, should = (double)rows.logits[i][v] - (double)rows.logits[0][v];
            most = fmax(most, fabs(is - should));
            size = fmax(size, fabs(should));
        }
    if (!(most < 0.02 * size)) fail_msg("%s: off by %g of %g", architecture, most, size);
    lens_close(&lens);
    llama_player_close(player);
}

static void of_an_rms_norm(void **state)
{
    (void)state;
    the_lens_is_the_models("llama", 0);
}

static void of_a_layer_norm(void **state)
{
    (void)state;
    the_lens_is_the_models("gptneox", 1);
}

/* ---- effects ---- */

static void open_all(const char *hook, struct subject *subject, struct llama_hooks *hooks,
                     struct llama_player **player, struct lens *lens, struct firing *firing)
{
    tiny_subject(hook, subject);
    *player = tiny_player("llama", hook, hooks);
    assert_int_equal(firing_make(subject, *player, hooks, text, 100, firing), ERR_OK);
    assert_int_equal(lens_open(*player, hooks, hooks->count - 1, lens), ERR_OK);
}

static void close_all(struct subject *subject, struct llama_player *player, struct lens *lens,
                      struct firing *firing)
{
    firing_free(firing);
    lens_close(lens);
    llama_player_close(player);
    subject_close(subject);
}

static const struct attribution *effect_of(const struct attributions *a, uint32_t feature)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->of[i].feature == feature) return &a->of[i];
    return NULL;
}

/* Small parts across the last row change its norm by nothing to first order: in the last layer, with
 * nothing behind it, the model without them loses what they were told to add. */
static void in_the_last_layer_both_are_one(void **state)
{
    struct subject subject;
    struct llama_hooks hooks;
    struct llama_player *player;
    struct lens lens;
    struct firing firing;
    struct attributions a;
    (void)state;
    open_all("resid_post.2", &subject, &hooks, &player, &lens, &firing);
    const float *row = firing.rows + (size_t)(firing.count - 1) * TINY_WIDTH;
    double square = 0;
    for (int i = 0; i < TINY_WIDTH; i++) square += (double)row[i] * (double)row[i];
    for (uint32_t f = 0; f < TINY_FEATURES; f++) {
        float *d = subject.model.encoder->w.w_dec + (size_t)f * TINY_WIDTH;
        double along = 0;
        for (int i = 0; i < TINY_WIDTH; i++) along += (double)d[i] * (double)row[i];
        for (int i = 0; i < TINY_WIDTH; i++)
            d[i] = (float)(((double)d[i] - along / square * (double)row[i]) * 0.02);
    }
    assert_int_equal(attribution_make(&subject, &lens, 0, &firing, 'e', TINY_FEATURES, NULL, &a),
                     ERR_OK);
    assert_true(a.count > TINY_FEATURES / 4);
    double most = 0, size = 0;
    for (size_t i = 0; i < a.count; i++) {
        most = fmax(most, fabs(a.of[i].direct - a.of[i].ablated));
        size = fmax(size, fabs(a.of[i].direct));
    }
    if (!(most < 0.05 * size)) fail_msg("direct and ablated differ by %g of %g", most, size);
    struct attribution_agreement g = attribution_agree(&a);
    assert_true(g.ranks > 0.8);
    free(a.of);
    close_all(&subject, player, &lens, &firing);
}

/* The value at the last token has a direct effect; one at earlier tokens acts through attention
 * alone. */
static void earlier_tokens_act_through_attention(void **state)
{
    struct subject subject;
    struct llama_hooks hooks;
    struct llama_player *player;
    struct lens lens;
    struct firing firing;
    struct attributions a;
    int earlier = 0;
    (void)state;
    open_all("resid_post.0", &subject, &hooks, &player, &lens, &firing);
    assert_int_equal(attribution_make(&subject, &lens, 0, &firing, 'e', TINY_FEATURES, NULL, &a),
                     ERR_OK);
    for (size_t i = 0; i < a.count; i++) {
        assert_true(a.of[i].fires > 0);
        assert_true((a.of[i].value == 0) == (a.of[i].direct == 0));
        if (a.of[i].value == 0) earlier += fabs(a.of[i].ablated) > 1e-6;
    }
    assert_true(earlier > 0);
    assert_true(a.probability > 0 && a.probability < 1);
    free(a.of);
    close_all(&subject, player, &lens, &firing);
}

/* `most` bounds the passes; the largest direct effects are among what is left. */
static void as_many_are_ablated_as_are_wanted(void **state)
{
    struct subject subject;
    struct llama_hooks hooks;
    struct llama_player *player;
    struct lens lens;
    struct firing firing;
    struct attributions all, few;
    (void)state;
    open_all("resid_post.1", &subject, &hooks, &player, &lens, &firing);
    assert_int_equal(attribution_make(&subject, &lens, 0, &firing, 'e', TINY_FEATURES, NULL, &all),
                     ERR_OK);
    assert_int_equal(attribution_make(&subject, &lens, 0, &firing, 'e', 2, NULL, &few), ERR_OK);
    assert_int_equal(few.count, 4);
    const struct attribution *largest = &all.of[0];
    for (size_t i = 0; i < all.count; i++)
        if (fabs(all.of[i].direct) > fabs(largest->direct)) largest = &all.of[i];
    const struct attribution *found = effect_of(&few, largest->feature);
    assert_non_null(found);
    assert_true(found->direct == largest->direct && found->ablated == largest->ablated);
    free(all.of);
    free(few.of);
    close_all(&subject, player, &lens, &firing);
}

static void what_cannot_be_is_refused(void **state)
{
    struct subject subject;
    struct llama_hooks hooks;
    struct llama_player *player;
    struct lens lens;
    struct firing firing, other;
    struct attributions a;
    (void)state;
    open_all("resid_post.1", &subject, &hooks, &player, &lens, &firing);
    assert_int_equal(attribution_make(&subject, &lens, 0, &firing, -1, 2, NULL, &a), ERR_USAGE);
    assert_int_equal(attribution_make(&subject, &lens, 0, &firing, 1 << 20, 2, NULL, &a),
                     ERR_USAGE);
    subject.prepends_bos = 0;
    assert_int_equal(firing_make(&subject, player, &hooks, "q", 100, &other), ERR_OK);
    assert_int_equal(attribution_make(&subject, &lens, 0, &other, 'e', 2, NULL, &a), ERR_USAGE);
    assert_non_null(strstr(err_text(), "no token that counts"));
    firing_free(&other);
    assert_int_equal(firing_make(&subject, player, &hooks, "a\xff", 100, &other), ERR_USAGE);
    assert_int_equal(firing_make(&subject, player, &hooks, "", 100, &other), ERR_USAGE);
    assert_int_equal(firing_make(&subject, player, &hooks, text, 5, &other), ERR_USAGE);
    subject.hook_width[0] = TINY_WIDTH + 1;
    assert_int_equal(firing_make(&subject, player, &hooks, text, 100, &other), ERR_USAGE);
    close_all(&subject, player, &lens, &firing);
}

/* ---- firing ---- */

static void a_texts_rows_are_its_own(void **state)
{
    struct subject subject;
    struct llama_hooks hooks;
    struct llama_player *player;
    struct lens lens;
    struct firing firing, again;
    (void)state;
    open_all("resid_post.1", &subject, &hooks, &player, &lens, &firing);
    assert_int_equal(firing.tokens[0], TINY_BOS);
    assert_true(firing.left_out[0] && !firing.left_out[1]);
    assert_true(firing.pairs.rows == firing.count && firing.pairs.count > firing.count);
    subject.prepends_bos = 0;
    assert_int_equal(firing_make(&subject, player, &hooks, text, 100, &again), ERR_OK);
    assert_int_equal(again.count, firing.count - 1);
    assert_true(again.tokens[0] == firing.tokens[1] && again.left_out[0]);
    firing_free(&again);
    close_all(&subject, player, &lens, &firing);
}

/* What the SAE is not trained on is left out, as an index leaves it out, and nothing else is. */
static void what_it_is_trained_on_counts(void **state)
{
    struct subject subject;
    struct llama_hooks hooks;
    struct llama_player *player;
    struct lens lens;
    struct firing firing, again;
    (void)state;
    open_all("resid_post.1", &subject, &hooks, &player, &lens, &firing);
    assert_int_equal(firing.counted, firing.count - 1);
    subject.keeps_first = 1;
    assert_int_equal(firing_make(&subject, player, &hooks, text, 100, &again), ERR_OK);
    assert_int_equal(again.counted, again.count - 1); /* BOS is special, too */
    firing_free(&again);
    subject.keeps_special = 1;
    assert_int_equal(firing_make(&subject, player, &hooks, text, 100, &again), ERR_OK);
    assert_int_equal(again.counted, again.count);
    double most = 0;
    uint32_t longest = 0;
    for (uint32_t i = 0; i < again.count; i++) {
        double square = 0;
        for (uint32_t k = 0; k < TINY_WIDTH; k++)
            square += pow((double)again.rows[i * TINY_WIDTH + k], 2);
        if (square > most) longest = i;
        if (square > most) most = square;
    }
    firing_free(&again);
    subject.hook_limit[0] = sqrt(most) * 0.9999;
    assert_int_equal(firing_make(&subject, player, &hooks, text, 100, &again), ERR_OK);
    assert_true(again.left_out[longest] && again.counted < again.count && again.counted > 0);
    firing_free(&again);
    close_all(&subject, player, &lens, &firing);
}

/* The same weights with another rule are another SAE: an index of one is none of the other. */
static void a_rule_has_a_fingerprint(void **state)
{
    struct subject subject;
    (void)state;
    tiny_subject("resid_post.1", &subject);
    uint64_t before = subject.fingerprint;
    subject_finish(&subject);
    assert_true(subject.fingerprint == before);
    subject.model.encoder->subtracts = 1;
    subject_finish(&subject);
    assert_true(subject.fingerprint != before);
    subject.model.encoder->subtracts = 0;
    struct sae_options few = *subject.model.encoder->options;
    subject.model.encoder->options = &few;
    few.k++; /* of which a relu SAE knows nothing */
    subject_finish(&subject);
    assert_true(subject.fingerprint == before);
    few.arch = SAE_TOPK;
    subject.model.encoder->arch = arch_of(&few);
    subject_finish(&subject);
    before = subject.fingerprint;
    few.k++;
    subject_finish(&subject);
    assert_true(subject.fingerprint != before);
    subject_close(&subject);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_an_rms_norm),
        cmocka_unit_test(of_a_layer_norm),
        cmocka_unit_test(in_the_last_layer_both_are_one),
        cmocka_unit_test(earlier_tokens_act_through_attention),
        cmocka_unit_test(as_many_are_ablated_as_are_wanted),
        cmocka_unit_test(what_it_is_trained_on_counts),
        cmocka_unit_test(a_rule_has_a_fingerprint),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(a_texts_rows_are_its_own),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
