/* A whole model whose hooks may be changed while it computes. */
#include "tests/tiny_models.h"
#include "tests/unit/engine/support.h"

#include "engine/llama_player.h"
#include "engine/llama_whole.h"

#include <math.h>

enum { LAYERS = 3, TOKENS = 200, CONTEXT = 256, MOST_VOCABULARY = 1024 };

static int32_t tokens[TOKENS];
static const char *const names[] = {"resid_post.0", "mlp_out.1", "resid_post.2"};

static struct llama_player *open_player(struct llama_hooks *hooks)
{
    static char path[256];
    struct tiny tiny = {.architecture = "llama", .layers = LAYERS};
    struct llama_player *player;
    snprintf(path, sizeof path, "%s", in_folder("tiny.gguf"));
    tiny_write(path, &tiny);
    struct llama_runner_options options = {.path = path, .context_tokens = CONTEXT, .threads = 1};
    assert_int_equal(llama_hooks_parse(names, 3, hooks), ERR_OK);
    int result = llama_player_open(&options, hooks, &player);
    if (result != ERR_OK) fail_msg("%s", err_text());
    int32_t vocabulary = llama_runner_tokens(llama_player_runner(player));
    for (int i = 0; i < TOKENS; i++) tokens[i] = (i * 7 + 3) % vocabulary;
    return player;
}

/* What a feeding gave. */
struct seen {
    const struct llama_hooks *hooks;
    uint32_t vocabulary, rows[3], logits_rows;
    int wanted;            /* hook that is changed; -1: none */
    float added;           /* to the first value of each of its rows */
    float *logits;         /* (TOKENS, vocabulary) */
    float hook[3][TOKENS]; /* the first value of each row, as it came */
    int fails;
};

static int edit(void *arg, uint32_t hook, uint32_t first, uint32_t rows, float *values)
{
    struct seen *s = arg;
    uint32_t width = s->hooks->hook[hook].width;
    assert_int_equal(first, s->rows[hook]);
    for (uint32_t r = 0; r < rows; r++) {
        s->hook[hook][first + r] = values[(size_t)r * width];
        if ((int)hook == s->wanted) values[(size_t)r * width] += s->added;
    }
    s->rows[hook] += rows;
    return s->fails ? err_set(ERR_STATE, "told to") : ERR_OK;
}

static int take_logits(void *arg, uint32_t first, uint32_t rows, const float *logits)
{
    struct seen *s = arg;
    assert_int_equal(first, s->logits_rows);
    memcpy(s->logits + (size_t)first * s->vocabulary, logits,
           (size_t)rows * s->vocabulary * sizeof *logits);
    s->logits_rows += rows;
    return ERR_OK;
}

static struct seen feed(struct llama_player *player, const struct llama_hooks *hooks, int wanted,
                        float added, int edits)
{
    struct seen s = {.hooks = hooks, .wanted = wanted, .added = added};
    s.vocabulary = (uint32_t)llama_runner_tokens(llama_player_runner(player));
    s.logits = calloc((size_t)TOKENS * s.vocabulary, sizeof *s.logits);
    assert_non_null(s.logits);
    struct llama_player_watch watch = {edits ? edit : NULL, take_logits, &s};
    llama_player_clear(player);
    assert_int_equal(llama_player_feed(player, tokens, TOKENS, &watch), ERR_OK);
    assert_int_equal(s.logits_rows, TOKENS);
    for (int h = 0; h < 3 && edits; h++) assert_int_equal(s.rows[h], TOKENS);
    return s;
}

static double difference(const struct seen *a, const struct seen *b, uint32_t from, uint32_t to)
{
    double most = 0;
    for (size_t i = (size_t)from * a->vocabulary; i < (size_t)to * a->vocabulary; i++)
        most = fmax(most, fabs((double)a->logits[i] - (double)b->logits[i]));
    return most;
}

static void what_is_not_changed_changes_nothing(void **state)
{
    struct llama_hooks hooks;
    (void)state;
    struct llama_player *player = open_player(&hooks);
    struct seen plain = feed(player, &hooks, -1, 0, 0), read = feed(player, &hooks, -1, 0, 1);
    assert_true(difference(&plain, &read, 0, TOKENS) == 0);
    free(plain.logits);
    free(read.logits);
    llama_player_close(player);
}

/* In the hook's own layer, in those above, and in the logits. */
static void what_is_changed_is_gone_on_from(void **state)
{
    struct llama_hooks hooks;
    (void)state;
    struct llama_player *player = open_player(&hooks);
    struct seen plain = feed(player, &hooks, -1, 0, 1);
    for (int h = 0; h < 3; h++) {
        struct seen changed = feed(player, &hooks, h, 3, 1);
        assert_true(difference(&plain, &changed, 0, 1) > 1e-3);
        assert_true(difference(&plain, &changed, TOKENS - 1, TOKENS) > 1e-3);
        for (int below = 0; below < h; below++)
            assert_memory_equal(plain.hook[below], changed.hook[below], sizeof plain.hook[0]);
        for (int above = h + 1; above < 3; above++)
            assert_true(fabsf(plain.hook[above][5] - changed.hook[above][5]) > 1e-4F);
        free(changed.logits);
    }
    free(plain.logits);
    llama_player_close(player);
}

/* Token by token, with the last one's logits alone, it computes what it does at once. */
static void tokens_may_come_one_by_one(void **state)
{
    struct llama_hooks hooks;
    (void)state;
    struct llama_player *player = open_player(&hooks);
    struct seen whole = feed(player, &hooks, 1, 2, 1), parts = {.hooks = &hooks, .wanted = 1};
    parts.added = 2;
    struct llama_player_watch watch = {edit, NULL, &parts};
    llama_player_clear(player);
    double most = 0;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(llama_player_feed(player, tokens + i, 1, &watch), ERR_OK);
        const float *logits = llama_player_logits(player);
        for (uint32_t v = 0; v < whole.vocabulary; v++)
            most = fmax(most, fabs((double)logits[v] -
                                   (double)whole.logits[(size_t)i * whole.vocabulary + v]));
    }
    if (most > 0.02) fail_msg("logits differ by %g", most);
    free(whole.logits);
    llama_player_close(player);
}

/* The form that runs faster is the whole model: all layers, and logits that are the file's. */
static void the_faster_form_is_whole(void **state)
{
    struct llama_hooks hooks, again;
    char faster[4096], cache[256];
    (void)state;
    struct llama_player *player = open_player(&hooks);
    struct seen file = feed(player, &hooks, -1, 0, 1);
    llama_player_close(player);
    snprintf(cache, sizeof cache, "%s", in_folder("cache"));
    assert_int_equal(
        llama_whole(in_folder("tiny.gguf"), cache, 1ull << 30, 1, NULL, faster, sizeof faster),
        ERR_OK);
    struct llama_runner_options options = {.path = faster, .context_tokens = CONTEXT, .threads = 1};
    assert_int_equal(llama_hooks_parse(names, 3, &again), ERR_OK);
    assert_int_equal(llama_player_open(&options, &again, &player), ERR_OK);
    struct seen whole = feed(player, &again, -1, 0, 1);
    double most = 0;
    for (size_t i = 0; i < (size_t)TOKENS * file.vocabulary; i++)
        most = fmax(most, fabs((double)file.logits[i]));
    if (difference(&file, &whole, 0, TOKENS) > 0.02 * most)
        fail_msg("logits differ by %g of %g", difference(&file, &whole, 0, TOKENS), most);
    free(file.logits);
    free(whole.logits);
    llama_player_close(player);
}

static void wrong_tokens_are_refused(void **state)
{
    struct llama_hooks hooks;
    (void)state;
    struct llama_player *player = open_player(&hooks);
    int32_t below = -1, above = llama_runner_tokens(llama_player_runner(player));
    assert_int_equal(llama_player_feed(player, &below, 1, NULL), ERR_USAGE);
    assert_int_equal(llama_player_feed(player, &above, 1, NULL), ERR_USAGE);
    assert_int_equal(llama_player_feed(player, tokens, TOKENS, NULL), ERR_OK);
    assert_int_equal(llama_player_feed(player, tokens, CONTEXT - TOKENS + 1, NULL), ERR_LIMIT);
    struct seen s = {.hooks = &hooks, .wanted = -1, .fails = 1};
    struct llama_player_watch watch = {edit, NULL, &s};
    llama_player_clear(player);
    assert_int_equal(llama_player_feed(player, tokens, 4, &watch), ERR_STATE);
    assert_string_equal(err_text(), "told to");
    llama_player_close(player);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_changed_changes_nothing),
        cmocka_unit_test(what_is_changed_is_gone_on_from),
        cmocka_unit_test(tokens_may_come_one_by_one),
        cmocka_unit_test(the_faster_form_is_whole),
        cmocka_unit_test(wrong_tokens_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
