/* What is spliced into a model, on a tiny one. */
#include "inspect/evaluation.h"
#include "tests/unit/inspect/tiny_subject.h"

enum { CONTEXT = 60 };

static int32_t tokens[CONTEXT];

/* Of features +I and -I: what goes in comes out. */
static void make_identity(struct subject *s)
{
    struct sae_options o = *s->model.encoder->options;
    model_close(&s->model);
    o.pool = s->pool;
    o.features = 2 * TINY_WIDTH;
    assert_int_equal(encoder_new(&o, &s->model.encoder), ERR_OK);
    struct encoder *e = s->model.encoder;
    for (size_t i = 0; i < TINY_WIDTH; i++) {
        e->w.w_enc[i * TINY_WIDTH + i] = e->w.w_dec[i * TINY_WIDTH + i] = 1;
        size_t other = (TINY_WIDTH + i) * TINY_WIDTH + i;
        e->w.w_enc[other] = e->w.w_dec[other] = -1;
    }
    e->subtracts = 0;
    encoder_derive(e);
}

struct setting {
    struct subject subject;
    struct llama_hooks hooks;
    struct llama_player *player;
    struct evaluation *evaluation;
    struct fidelity fidelity;
};

static void open_at(struct setting *s, const char *hook, int is_identity, int splices_first)
{
    struct tiny tiny = {.architecture = "llama", .layers = TINY_LAYERS};
    char path[256];
    tiny_subject(hook, &s->subject);
    if (is_identity) make_identity(&s->subject);
    snprintf(path, sizeof path, "%s", in_folder("tiny.gguf"));
    tiny_write(path, &tiny);
    struct llama_runner_options options = {.path = path, .context_tokens = CONTEXT, .threads = 1};
    assert_int_equal(llama_hooks_parse(&hook, 1, &s->hooks), ERR_OK);
    assert_int_equal(llama_player_open(&options, &s->hooks, &s->player), ERR_OK);
    assert_int_equal(
        evaluation_open(&s->subject, s->player, &s->hooks, CONTEXT, splices_first, &s->evaluation),
        ERR_OK);
    assert_int_equal(fidelity_new(TINY_WIDTH, subject_features(&s->subject), &s->fidelity), ERR_OK);
    for (int i = 0; i < CONTEXT; i++) tokens[i] = i % 20 == 7 ? TINY_BOS : 'a' + i * 5 % 26;
}

static void open_all(struct setting *s, int is_identity, int splices_first)
{
    open_at(s, "resid_post.1", is_identity, splices_first);
}

static void close_all(struct setting *s)
{
    fidelity_free(&s->fidelity);
    evaluation_close(s->evaluation);
    llama_player_close(s->player);
    subject_close(&s->subject);
}

static void an_identity_changes_nothing(void **state)
{
    struct setting s;
    (void)state;
    open_all(&s, 1, 1);
    assert_int_equal(evaluation_add(s.evaluation, tokens, CONTEXT, &s.fidelity), ERR_OK);
    fidelity_end_batch(&s.fidelity);
    const struct fidelity_sums *all = &s.fidelity.all;
    assert_true(fabs(fidelity_ce(all, FIDELITY_SPLICED) - fidelity_ce(all, FIDELITY_CLEAN)) < 1e-5);
    assert_true(fabs(fidelity_kl(all, FIDELITY_SPLICED)) < 1e-6);
    assert_true(fabs(fidelity_ce_recovered(all) - 1) < 1e-4);
    assert_true(fabs(fidelity_fve(&s.fidelity) - 1) < 1e-6);
    assert_true(fidelity_kl(all, FIDELITY_ZERO) > 1e-3);
    close_all(&s);
}

/* Special tokens are in no sum, nor is position 0 unless it is spliced; nothing is known to follow the
 * last token. */
static void what_leaves_the_means(void **state)
{
    (void)state;
    for (int splices = 0; splices < 2; splices++) {
        struct setting s;
        open_all(&s, 0, splices);
        assert_int_equal(evaluation_add(s.evaluation, tokens, CONTEXT, &s.fidelity), ERR_OK);
        assert_int_equal(s.fidelity.all.rows, CONTEXT - 3 - !splices);
        assert_int_equal(s.fidelity.all.predictions, CONTEXT - 3 - !splices);
        assert_int_equal(s.fidelity.all.with_next, CONTEXT - 3 - !splices - 1);
        close_all(&s);
    }
}

/* Nor is a row that is longer than those that the SAE was trained on, unless position 0 is spliced, as
 * others do. */
static void what_is_too_long_leaves_the_means(void **state)
{
    double limit = 0;
    (void)state;
    for (int round = 0; round < 3; round++) {
        struct setting s;
        open_all(&s, 0, round == 2);
        s.subject.hook_limit[0] = limit;
        assert_int_equal(evaluation_add(s.evaluation, tokens, CONTEXT, &s.fidelity), ERR_OK);
        uint64_t rows = s.fidelity.all.rows, beyond = s.fidelity.beyond_limit;
        assert_int_equal(s.fidelity.all.predictions, rows);
        assert_int_equal(rows + beyond, CONTEXT - 3 - (round < 2));
        assert_true(round == 1 ? beyond > 0 && rows > 0 : beyond == 0);
        assert_true(round != 1 || sqrt(s.fidelity.all.square / (double)rows) < limit);
        limit = sqrt(s.fidelity.all.square / (double)rows); /* some rows are longer than that */
        close_all(&s);
    }
}

/* ---- the same passes, done by hand ---- */

struct pass {
    int way; /* 1: the reconstruction, 2: 0 */
    const float *made;
    float logits[CONTEXT][TINY_TOKENS + 61];
    uint32_t vocabulary;
};

static int edit(void *arg, uint32_t hook, uint32_t first, uint32_t rows, float *values)
{
    const struct pass *p = arg;
    (void)hook;
    for (uint32_t r = 0; r < rows; r++) {
        int keeps = first + r == 0 || tokens[first + r] == TINY_BOS;
        if (p->way == 2) memset(values + (size_t)r * TINY_WIDTH, 0, TINY_WIDTH * sizeof *values);
        if (p->way == 1 && !keeps)
            memcpy(values + (size_t)r * TINY_WIDTH, p->made + (size_t)(first + r) * TINY_WIDTH,
                   TINY_WIDTH * sizeof *values);
    }
    return ERR_OK;
}

static int keep(void *arg, uint32_t first, uint32_t rows, const float *logits)
{
    struct pass *p = arg;
    for (uint32_t r = 0; r < rows; r++)
        memcpy(p->logits[first + r], logits + (size_t)r * p->vocabulary,
               p->vocabulary * sizeof *logits);
    return ERR_OK;
}

static int gather(void *arg, uint32_t hook, uint32_t first, uint32_t rows, float *values)
{
    (void)hook;
    memcpy((float *)arg + (size_t)first * TINY_WIDTH, values,
           (size_t)rows * TINY_WIDTH * sizeof *values);
    return ERR_OK;
}

static int collect_rows(struct llama_player *player, float *rows)
{
    struct llama_player_watch watch = {gather, NULL, rows};
    llama_player_clear(player);
    return llama_player_feed(player, tokens, CONTEXT, &watch);
}

static double mean_ce(const struct pass *p)
{
    double sum = 0, n = 0;
    for (int i = 1; i + 1 < CONTEXT; i++) {
        double total = 0;
        if (tokens[i] == TINY_BOS) continue;
        for (uint32_t v = 0; v < p->vocabulary; v++) total += exp((double)p->logits[i][v]);
        sum += log(total) - (double)p->logits[i][tokens[i + 1]];
        n++;
    }
    return sum / n;
}

static void all_ways_are_what_they_say(void **state)
{
    static struct pass pass;
    struct setting s;
    float made[CONTEXT * TINY_WIDTH];
    float rows[CONTEXT * TINY_WIDTH];
    (void)state;
    open_all(&s, 0, 0);
    assert_int_equal(evaluation_add(s.evaluation, tokens, CONTEXT, &s.fidelity), ERR_OK);
    pass =
        (struct pass){.vocabulary = (uint32_t)llama_runner_tokens(llama_player_runner(s.player))};
    assert_true(pass.vocabulary <= TINY_TOKENS + 61);
    for (int way = 0; way < 3; way++) {
        struct llama_player_watch watch = {edit, keep, &pass};
        pass.way = way;
        pass.made = made;
        llama_player_clear(s.player);
        assert_int_equal(llama_player_feed(s.player, tokens, CONTEXT, &watch), ERR_OK);
        static const enum fidelity_way ways[] = {FIDELITY_CLEAN, FIDELITY_SPLICED, FIDELITY_ZERO};
        double should = mean_ce(&pass), is = fidelity_ce(&s.fidelity.all, ways[way]);
        if (way == 0) {
            struct pairs pairs;
            assert_int_equal(collect_rows(s.player, rows), ERR_OK);
            assert_int_equal(subject_encode(&s.subject, rows, CONTEXT, &pairs), ERR_OK);
            subject_decode(&s.subject, rows, &pairs, made);
            pairs_free(&pairs);
        }
        if (!(fabs(is - should) < 1e-5)) fail_msg("way %d: CE %.8f, not %.8f", way, is, should);
    }
    close_all(&s);
}

/* ---- several contexts ---- */

enum { SEVERAL = 5 };

/* Context `which`: all are as long, but the last. */
static uint32_t of_context(int which, int32_t *out)
{
    for (int i = 0; i < CONTEXT; i++)
        out[i] = i % 20 == 7 ? TINY_BOS : 'a' + (i * (5 + 2 * which) + which) % 26;
    return which + 1 < SEVERAL ? CONTEXT : CONTEXT / 2;
}

/* CE with 0 in place of the hook, over contexts `from` to `to`, by one evaluation. */
static double zero_ce(const char *hook, int from, int to)
{
    struct setting s;
    int32_t context[CONTEXT];
    open_at(&s, hook, 0, 0);
    for (int which = from; which < to; which++) {
        uint32_t count = of_context(which, context);
        assert_int_equal(evaluation_add(s.evaluation, context, count, &s.fidelity), ERR_OK);
    }
    double sum = s.fidelity.all.ce[FIDELITY_ZERO];
    close_all(&s);
    return sum;
}

/* Of the whole stream 0 is computed once, of a part of it in each context: the numbers are those of
 * contexts that are evaluated alone. */
static void zeros_are_those_of_each_context(void **state)
{
    static const char *const hooks[] = {"resid_post.1", "mlp_out.1"};
    (void)state;
    for (size_t h = 0; h < 2; h++) {
        double alone = 0, together = zero_ce(hooks[h], 0, SEVERAL);
        for (int which = 0; which < SEVERAL; which++) alone += zero_ce(hooks[h], which, which + 1);
        if (!(fabs(together - alone) < 1e-6))
            fail_msg("%s: CE %.8f in one, %.8f alone", hooks[h], together, alone);
    }
}

/* The second context's tokens say whether 0 gives the same everywhere; with the first one's own they
 * would say nothing. */
static void the_same_context_again_says_nothing_of_zeros(void **state)
{
    struct setting s;
    int32_t context[CONTEXT];
    (void)state;
    open_at(&s, "mlp_out.1", 0, 0);
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t count = of_context(i / 2, context);
        assert_int_equal(evaluation_add(s.evaluation, context, count, &s.fidelity), ERR_OK);
        if (i % 2 == 0) sum += 2 * zero_ce("mlp_out.1", i / 2, i / 2 + 1);
    }
    assert_true(fabs(s.fidelity.all.ce[FIDELITY_ZERO] - sum) < 1e-6);
    close_all(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_identity_changes_nothing),
        cmocka_unit_test(what_leaves_the_means),
        cmocka_unit_test(what_is_too_long_leaves_the_means),
        cmocka_unit_test(all_ways_are_what_they_say),
        cmocka_unit_test(zeros_are_those_of_each_context),
        cmocka_unit_test(the_same_context_again_says_nothing_of_zeros),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
