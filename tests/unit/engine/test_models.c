/*
 * Models as they come: without special tokens, without a tokenizer, of another kind, damaged. What
 * a file does not say is not assumed, and nothing that it says ends a process.
 */
#include "tests/tiny_models.h"
#include "tests/unit/engine/rows.h"

static char cache[256], model[512], corpus_file[512];
static const char *corpus = corpus_file;
static const char *const hooks[] = {"resid_post.1"};

static int setup(void **state)
{
    if (make_folder(state) != 0) return -1;
    snprintf(cache, sizeof cache, "%s/cache", folder);
    snprintf(model, sizeof model, "%s", in_folder("tiny.gguf"));
    char text[4000] = "";
    for (int i = 0; i < 40; i++) strcat(text, "one, two, three; ");
    snprintf(corpus_file, sizeof corpus_file, "%s", write_text("corpus.txt", text));
    return 0;
}

static struct engine_options options_of(void)
{
    return (struct engine_options){.kind = ENGINE_LLAMA,
                                   .hooks = hooks,
                                   .hooks_count = 1,
                                   .share_count = 1,
                                   .model_file = model,
                                   .cache_dir = cache,
                                   .cache_limit_bytes = 8ull << 30,
                                   .exact_model = 1,
                                   .corpus = &corpus,
                                   .corpus_count = 1,
                                   .text_field = "text",
                                   .context_tokens = 32,
                                   .batch_contexts = 2,
                                   .threads = 1,
                                   .prepend_bos = -1};
}

static int open_fails(const struct engine_options *options, const char *says)
{
    struct engine *e;
    int result = engine_open(options, &e);
    if (result == ERR_OK) engine_close(e);
    print_message("%s: %s\n", err_str(result), result == ERR_OK ? "" : err_text());
    if (result != ERR_OK && says) assert_non_null(strstr(err_text(), says));
    return result;
}

static struct tiny llama_of(enum tiny_vocabulary vocabulary)
{
    return (struct tiny){.architecture = "llama", .layers = 3, .vocabulary = vocabulary};
}

/* ---- special tokens ---- */

enum { COMMA = 11 }; /* in GPT-2's order of bytes, and llama.cpp's default for BOS and EOS */

static void an_undeclared_token_is_an_ordinary_one(void **state)
{
    (void)state;
    struct tiny tiny = llama_of(TINY_UNDECLARED);
    tiny_write(model, &tiny);
    struct engine_options options = options_of();
    struct engine *e = open_engine(&options);
    assert_int_equal(engine_info(e)->prepends_bos, 0);
    struct rows r = gather(e, SIZE_MAX);
    size_t commas = 0;
    for (size_t i = 0; i < r.count; i++) {
        commas += r.ids[i].token == COMMA;
        assert_int_equal(r.flags[i] & ENGINE_ROW_SPECIAL, 0);
    }
    assert_int_equal(commas, 2 * 40); /* those of the text: none is put between documents */
    engine_close(e);
    free_rows(&r);
    options.prepend_bos = 1;
    assert_int_equal(open_fails(&options, "names no BOS token"), ERR_USAGE);
}

static void a_declared_token_is_special(void **state)
{
    (void)state;
    struct tiny tiny = llama_of(TINY_DECLARED);
    tiny_write(model, &tiny);
    struct engine_options options = options_of();
    struct engine *e = open_engine(&options);
    assert_int_equal(engine_info(e)->prepends_bos, 1);
    struct rows r = gather(e, SIZE_MAX);
    size_t special = 0;
    for (size_t i = 0; i < r.count; i++) {
        int is = r.ids[i].token == TINY_BOS || r.ids[i].token == TINY_EOS;
        assert_int_equal((r.flags[i] & ENGINE_ROW_SPECIAL) != 0, is);
        special += (size_t)is;
    }
    assert_int_equal(r.ids[0].token, TINY_BOS);
    assert_true(special > 1);
    engine_close(e);
    free_rows(&r);
}

static void a_bos_that_the_vocabulary_lacks_is_refused(void **state)
{
    (void)state;
    struct tiny tiny = llama_of(TINY_BOS_BEYOND);
    tiny_write(model, &tiny);
    struct engine_options options = options_of();
    assert_int_equal(open_fails(&options, "tokenizer.ggml.bos_token_id is 100000"), ERR_FORMAT);
}

/* ---- kinds ---- */

static void a_model_without_a_tokenizer_takes_no_text(void **state)
{
    (void)state;
    struct tiny tiny = llama_of(TINY_NO_TOKENIZER);
    tiny_write(model, &tiny);
    struct engine_options options = options_of();
    assert_int_equal(open_fails(&options, "has no tokenizer"), ERR_USAGE);
    options.exact_model = 0;
    assert_int_equal(open_fails(&options, "has no tokenizer"), ERR_USAGE);
}

static void a_model_without_a_tokenizer_takes_token_ids(void **state)
{
    (void)state;
    struct tiny tiny = llama_of(TINY_NO_TOKENIZER);
    tiny_write(model, &tiny);
    char ids[3000] = "{\"ids\": [0";
    for (int i = 1; i < 200; i++) snprintf(ids + strlen(ids), sizeof ids - strlen(ids), ", %d", i);
    strcat(ids, "]}\n");
    snprintf(corpus_file, sizeof corpus_file, "%s", write_text("ids.jsonl", ids));
    for (int exact = 0; exact < 2; exact++) {
        struct engine_options options = options_of();
        options.tokens_field = "ids";
        options.exact_model = exact;
        struct rows r = all_rows(&options);
        assert_int_equal(r.count, 200);
        for (uint32_t i = 0; i < 200; i++) assert_int_equal(r.ids[i].token, i);
        free_rows(&r);
    }
}

static void encoders_are_refused(void **state)
{
    (void)state;
    struct tiny tiny = llama_of(TINY_DECLARED);
    tiny.not_causal = 1;
    tiny_write(model, &tiny);
    struct engine_options options = options_of();
    assert_int_equal(open_fails(&options, "not a decoder-only language model"), ERR_USAGE);
}

/* ---- damage ---- */

static char *read_model(size_t *size)
{
    char *data;
    assert_int_equal(file_read(model, 64 << 20, &data, size), ERR_OK);
    return data;
}

/* Where the vocabulary's text begins and ends lies much that llama.cpp believes. */
static void damaged_files_are_errors(void **state)
{
    (void)state;
    struct tiny tiny = llama_of(TINY_DECLARED);
    struct rng rng;
    size_t size, refused = 0, opened = 0;
    tiny_write(model, &tiny);
    char *sound = read_model(&size), *bad = malloc(size);
    assert_non_null(bad);
    size_t header = 12000 < size ? 12000 : size;
    rng_seed(&rng, 3);
    for (int i = 0; i < 250; i++) {
        memcpy(bad, sound, size);
        size_t length = size;
        for (uint64_t flips = 1 + rng_below(&rng, 3); flips > 0; flips--)
            bad[8 + rng_below(&rng, i % 2 ? 1200 : header - 8)] = (char)rng_below(&rng, 256);
        if (i % 10 == 0) length = rng_below(&rng, size);
        assert_int_equal(file_replace(model, bad, length), ERR_OK);
        struct engine_options options = options_of();
        options.exact_model = i % 3 != 0;
        struct engine *e;
        struct engine_batch batch;
        if (engine_open(&options, &e) != ERR_OK) {
            assert_true(err_text()[0] != '\0');
            refused++;
            continue;
        }
        opened++;
        (void)engine_next(e, &batch);
        engine_close(e);
    }
    print_message("%zu refused, %zu opened\n", refused, opened);
    assert_true(refused > 20);
    free(sound);
    free(bad);
}

/* Numbers that no model has. */
static void numbers_that_no_model_has_are_errors(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint32_t value;
    } all[] = {{"llama.attention.head_count", 0},
               {"llama.attention.head_count", 3},
               {"llama.attention.head_count", 4000000000u},
               {"llama.attention.head_count_kv", 0},
               {"llama.attention.head_count_kv", 3},
               {"llama.attention.head_count_kv", 4000000000u},
               {"llama.attention.key_length", 0},
               {"llama.attention.key_length", 7},
               {"llama.rope.dimension_count", 0},
               {"llama.rope.dimension_count", 7},
               {"llama.rope.dimension_count", 4000000000u},
               {"llama.block_count", 0},
               {"llama.block_count", 2},
               {"llama.block_count", 4000000000u},
               {"llama.embedding_length", 0},
               {"llama.embedding_length", 33},
               {"llama.feed_forward_length", 0},
               {"llama.context_length", 0},
               {"llama.expert_count", 5},
               {"llama.expert_count", 4000000000u},
               {"tokenizer.ggml.eos_token_id", 70000}};
    struct tiny tiny = llama_of(TINY_DECLARED);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        tiny.change = all[i].key;
        tiny.change_to = all[i].value;
        tiny_write(model, &tiny);
        struct engine_options options = options_of();
        print_message("%s = %u: ", all[i].key, all[i].value);
        (void)open_fails(&options, NULL);
        options.exact_model = 0;
        (void)open_fails(&options, NULL);
    }
}

/* A document without a space is one word to some tokenizers, and deep recursion to others. */
static void long_words_are_tokenized(void **state)
{
    (void)state;
    enum { LETTERS = 250000 };
    char *text = malloc(LETTERS + 1);
    assert_non_null(text);
    memset(text, 'a', LETTERS);
    text[LETTERS] = '\0';
    snprintf(corpus_file, sizeof corpus_file, "%s", write_text("word.txt", text));
    snprintf(model, sizeof model, "%s", model_path());
    struct engine_options options = options_of();
    struct engine *e = open_engine(&options);
    struct engine_batch batch;
    assert_int_equal(engine_next(e, &batch), ERR_OK);
    assert_true(batch.rows > 0);
    engine_close(e);
    free(text);
}

int main(int argc, char **argv)
{
    (void)argc;
    engine_threads_passive(argv); /* another test may have the cores */
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, remove_folder)
    const struct CMUnitTest tests[] = {
        EACH(an_undeclared_token_is_an_ordinary_one),
        EACH(a_declared_token_is_special),
        EACH(a_bos_that_the_vocabulary_lacks_is_refused),
        EACH(a_model_without_a_tokenizer_takes_no_text),
        EACH(a_model_without_a_tokenizer_takes_token_ids),
        EACH(encoders_are_refused),
        EACH(damaged_files_are_errors),
        EACH(numbers_that_no_model_has_are_errors),
        EACH(long_words_are_tokenized),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
