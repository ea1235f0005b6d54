/* The engine `llama` on the real model. */
#include "tests/unit/engine/rows.h"

#include <fcntl.h>
#include <sys/stat.h>

static const char *const layer_15[] = {"resid_post.15"};
static char corpus_file[256];
static const char *corpus[] = {corpus_file};
static char cache[256];

/* About 1,500 tokens in eight documents. */
static int setup(void **state)
{
    if (make_folder(state) != 0) return -1;
    snprintf(cache, sizeof cache, "%s/cache", folder);
    char all[20000] = "";
    for (uint64_t i = 0; i < 8; i++) {
        char *text = make_text(i, 30 + 45 * i);
        strcat(strcat(all, text), "\n%\n");
        free(text);
    }
    snprintf(corpus_file, sizeof corpus_file, "%s", write_text("corpus.txt", all));
    return 0;
}

/* What is proven for a context's length and hooks is proven once: few lengths, less time. */
static struct engine_options options_of(uint32_t context_tokens, uint32_t batch_contexts)
{
    return (struct engine_options){.kind = ENGINE_LLAMA,
                                   .hooks = layer_15,
                                   .hooks_count = 1,
                                   .share_count = 1,
                                   .model_file = model_path(),
                                   .cache_dir = cache,
                                   .cache_limit_bytes = 8ull << 30,
                                   .corpus = corpus,
                                   .corpus_count = 1,
                                   .text_field = "text",
                                   .document_separator = "%",
                                   .context_tokens = context_tokens,
                                   .batch_contexts = batch_contexts,
                                   .threads = 2,
                                   .prepend_bos = -1};
}

/* Attention sinks: their norm dwarfs all others', and with it any mean over rows. */
static int is_sink(const struct rows *r, size_t i)
{
    double square = 0;
    for (uint32_t k = 0; k < r->width; k++) square += (double)row_of(r, i)[k] * row_of(r, i)[k];
    return (r->flags[i] & ENGINE_ROW_FIRST) || sqrt(square) > 2000;
}

/* Fraction of the variance of `expected` that `got` explains, sinks left out. */
static double variance_explained(const struct rows *got, const struct rows *expected)
{
    uint32_t D = expected->width;
    double *mean = calloc(D, sizeof *mean), kept = 0, error = 0, variance = 0;
    for (size_t i = 0; i < expected->count; i++) {
        if (is_sink(expected, i)) continue;
        kept++;
        for (uint32_t k = 0; k < D; k++) mean[k] += row_of(expected, i)[k];
    }
    for (size_t i = 0; i < expected->count; i++) {
        if (is_sink(expected, i)) continue;
        for (uint32_t k = 0; k < D; k++) {
            double x = row_of(expected, i)[k], d = x - row_of(got, i)[k], v = x - mean[k] / kept;
            error += d * d;
            variance += v * v;
        }
    }
    print_message("%.0f of %zu rows are no attention sinks\n", kept, expected->count);
    free(mean);
    return 1 - error / variance;
}

/* Rows i whose nearest row of `reference`, or one as near, is row i + shift. */
static size_t own_nearest(const struct rows *got, const struct rows *reference, size_t shift)
{
    size_t own = 0;
    for (size_t i = 0; i + shift < got->count; i++) {
        float least = INFINITY, to_own = INFINITY;
        for (size_t j = 0; j < reference->count; j++) {
            float square = 0;
            for (uint32_t k = 0; k < got->width && square <= least; k++) {
                float d = row_of(got, i)[k] - row_of(reference, j)[k];
                square += d * d;
            }
            if (j == i + shift) to_own = square;
            if (square < least) least = square;
        }
        own += to_own == least;
    }
    return own;
}

static void several_sequences_in_a_batch_are_those_of_single_runs(void **state)
{
    (void)state;
    struct engine_options single = options_of(100, 1), several = options_of(100, 7);
    struct rows expected = all_rows(&single), got = all_rows(&several);
    assert_true(expected.count > 1000);
    assert_int_equal(got.count, expected.count);
    expect_same(&got, 0, &expected, 0, got.count, 1e-6);
    assert_int_equal(own_nearest(&got, &expected, 0), got.count);
    assert_true(own_nearest(&got, &expected, 1) <
                got.count / 100); /* the control: off by one row */
    free_rows(&got);
    free_rows(&expected);
}

static void a_context_longer_than_a_pass_is_the_same_context(void **state)
{
    (void)state;
    static const char *const low[] = {"resid_post.3"};
    struct engine_options shorter = options_of(512, 1), longer = options_of(700, 1);
    shorter.hooks = longer.hooks = low;
    struct rows expected = all_rows(&shorter), got = all_rows(&longer);
    expect_same(&got, 0, &expected, 0, 512, 1e-5); /* what comes later does not look back */
    for (size_t i = 0; i < 700; i++) {
        assert_int_equal(got.ids[i].sequence, 0);
        assert_int_equal(got.ids[i].position, i);
    }
    free_rows(&got);
    free_rows(&expected);
}

static void many_hooks_in_one_pass_equal_single_ones(void **state)
{
    (void)state;
    static const char *const hooks[] = {"resid_post.15", "ffn_out-3", "resid_post.0"};
    struct engine_options options = options_of(100, 2);
    options.hooks = hooks;
    options.hooks_count = 3;
    struct rows many = all_rows(&options);
    assert_int_equal(many.width, 3 * 576);
    for (uint32_t h = 0; h < 3; h++) {
        struct engine_options one = options_of(100, 2);
        one.hooks = hooks + h;
        struct rows single = all_rows(&one);
        assert_int_equal(single.count, many.count);
        for (size_t i = 0; i < single.count; i++) {
            assert_memory_equal(&single.ids[i], &many.ids[i], sizeof single.ids[i]);
            assert_true(distance(row_of(&many, i) + 576 * h, row_of(&single, i), 576) <= 1e-6);
        }
        free_rows(&single);
    }
    free_rows(&many);
}

static void seeking_goes_on_where_it_was(void **state)
{
    (void)state;
    struct engine_options options = options_of(100, 2);
    expect_seekable(&options, 9, 1e-6);
    options.share_index = 1;
    options.share_count = 3;
    expect_seekable(&options, 5, 1e-6);
    struct engine *e = open_engine(&options);
    assert_int_equal(engine_seek(e, &(struct cursor){.document = 2, .sequence = 1}), ERR_MISMATCH);
    struct engine_batch batch; /* a position that the context there does not have */
    struct cursor beyond = {.document = 7, .sequence = 1, .offset = 400, .position = 99};
    assert_int_equal(engine_seek(e, &beyond), ERR_OK);
    assert_int_equal(engine_next(e, &batch), ERR_MISMATCH);
    engine_close(e);
}

/* 600 rows: the file's own precision is slow. */
static struct rows first_rows(const struct engine_options *options)
{
    struct engine *e = open_engine(options);
    struct rows rows = gather(e, 600);
    engine_close(e);
    return rows;
}

static void the_last_layer_is_had_by_asking_for_all_outputs(void **state)
{
    (void)state;
    static const char *const last[] = {"resid_post.29"}, *const below[] = {"resid_post.28"};
    struct engine_options options = options_of(200, 1);
    options.exact_model = 1;
    options.hooks = last;
    struct rows r = first_rows(&options);
    options.hooks = below;
    struct rows before = first_rows(&options);
    assert_int_equal(r.count, before.count);
    for (size_t i = 0; i < r.count; i++)
        assert_memory_equal(&r.ids[i], &before.ids[i], sizeof r.ids[i]);
    /* The last layer adds to the stream below it: alike, but not the same. */
    double alike = variance_explained(&before, &r);
    assert_true(alike < 0.99);
    assert_true(distance(row_of(&r, 50), row_of(&before, 50), 576) > 0.05);
    size_t nearest = 0; /* a row is more like its own token's below than like its neighbour's */
    for (size_t i = 0; i + 1 < r.count; i++)
        nearest += distance(row_of(&r, i), row_of(&before, i), 576) <
                   distance(row_of(&r, i), row_of(&before, i + 1), 576);
    print_message("%zu of %zu rows are nearer to their own below\n", nearest, r.count);
    assert_true(nearest > r.count * 3 / 4);
    free_rows(&r);
    free_rows(&before);
}

static void the_prepared_model_is_as_good_as_the_file(void **state)
{
    (void)state;
    struct engine_options options = options_of(100, 1);
    struct rows prepared = all_rows(&options);
    struct engine *e = open_engine(&options);
    uint64_t prepared_hash = engine_info(e)->model_hash;
    engine_close(e);
    options.exact_model = 1;
    e = open_engine(&options);
    assert_string_equal(engine_info(e)->precision, "q4_1");
    assert_true(engine_info(e)->model_hash != prepared_hash);
    struct rows exact = gather(e, SIZE_MAX);
    engine_close(e);
    double fve = variance_explained(&exact, &prepared);
    print_message("FVE of the file's rows against the prepared model's: %.5f\n", fve);
    assert_true(fve > 0.998 && fve < 0.99999);
    free_rows(&prepared);
    free_rows(&exact);
}

static void rows_know_special_tokens_and_attention_sinks(void **state)
{
    (void)state;
    struct engine_options options = options_of(100, 1);
    struct rows plain = all_rows(&options);
    size_t special = 0;
    for (size_t i = 0; i < plain.count; i++) {
        assert_int_equal(!!(plain.flags[i] & ENGINE_ROW_FIRST), plain.ids[i].position == 0);
        special += !!(plain.flags[i] & ENGINE_ROW_SPECIAL);
    }
    assert_int_equal(special, 8); /* a separator after each document; no BOS by this metadata */
    options.prepend_bos = 1;
    struct engine *e = open_engine(&options);
    assert_true(engine_info(e)->prepends_bos);
    struct rows with_bos = gather(e, SIZE_MAX);
    engine_close(e);
    for (size_t i = 0; i < with_bos.count; i++)
        if (with_bos.ids[i].position == 0)
            assert_int_equal(with_bos.flags[i], ENGINE_ROW_FIRST | ENGINE_ROW_SPECIAL);
    assert_true(with_bos.count > plain.count);
    free_rows(&plain);
    free_rows(&with_bos);
}

static void the_count_is_what_all_shares_make(void **state)
{
    (void)state;
    uint64_t made = 0, counted;
    struct engine_options options = options_of(100, 1);
    options.prepend_bos = 1;
    options.share_count = 3;
    static const char *const low[] = {"resid_post.0"};
    options.hooks = low;
    for (uint32_t i = 0; i < 3; i++) {
        options.share_index = i;
        struct rows r = all_rows(&options);
        made += r.count;
        free_rows(&r);
    }
    struct engine *e = open_engine(&options);
    assert_int_equal(engine_count_rows(e, &counted, NULL, NULL), ERR_OK);
    assert_int_equal(counted, made);
    engine_close(e);
}

static void standard_input_is_a_corpus_that_cannot_be_read_again(void **state)
{
    (void)state;
    static const char *dash[] = {"-"};
    struct engine_options options = options_of(100, 1);
    struct rows expected = all_rows(&options);
    char *text;
    size_t size;
    int ends[2], saved = dup(STDIN_FILENO);
    assert_int_equal(file_read(corpus_file, 1 << 20, &text, &size), ERR_OK);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], text, size), (ssize_t)size);
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    options.corpus = dash;
    struct engine *e = open_engine(&options);
    assert_false(engine_info(e)->resumable);
    uint64_t counted = 1;
    assert_int_equal(engine_count_rows(e, &counted, NULL, NULL), ERR_OK);
    assert_int_equal(counted, 0);
    struct rows got = gather(e, SIZE_MAX);
    assert_int_equal(got.count, expected.count);
    expect_same(&got, 0, &expected, 0, got.count, 1e-6);
    assert_int_equal(engine_seek(e, &(struct cursor){0}), ERR_STATE);
    engine_close(e);
    dup2(saved, STDIN_FILENO);
    close(saved);
    free(text);
    free_rows(&got);
    free_rows(&expected);
}

static void bad_text_is_counted_or_fails(void **state)
{
    (void)state;
    static const char *files[1];
    files[0] = write_text("bad.txt", "good text\n%\nbad \xff text\n%\nmore good text\n");
    struct engine_options options = options_of(100, 1);
    options.corpus = files;
    struct engine *e = open_engine(&options);
    struct rows r = gather(e, SIZE_MAX);
    assert_int_equal(engine_counters(e).documents, 2);
    assert_int_equal(engine_counters(e).bad_text, 1);
    assert_int_equal(engine_counters(e).tokens, r.count);
    engine_close(e);
    free_rows(&r);
    options.on_bad_text = BAD_TEXT_FAIL;
    e = open_engine(&options);
    struct engine_batch batch;
    assert_int_equal(engine_next(e, &batch), ERR_FORMAT);
    engine_close(e);
    files[0] = write_text("all_bad.txt", "\xff\n");
    options.on_bad_text = BAD_TEXT_SKIP;
    e = open_engine(&options);
    assert_int_equal(engine_next(e, &batch), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "1 documents were bad"));
    engine_close(e);
}

static void expect_refusal(const struct engine_options *options, int code, const char *says)
{
    struct engine *e;
    assert_int_equal(engine_open(options, &e), code);
    if (!strstr(err_text(), says)) print_error("'%s' is not in: %s\n", says, err_text());
    assert_non_null(strstr(err_text(), says));
}

static void hooks_that_do_not_exist_are_told_with_those_that_do(void **state)
{
    (void)state;
    const char *name = NULL;
    struct engine_options options = options_of(100, 1);
    options.hooks = &name;
    name = "resid_post.30";
    expect_refusal(&options, ERR_USAGE, "resid_post.0 to resid_post.29");
    name = "no_such_node";
    expect_refusal(&options, ERR_USAGE, "ffn_out-0..29");
    name = "resid_post.x";
    expect_refusal(&options, ERR_USAGE, "HINT");
    name = "Qcur-3";
    expect_refusal(&options, ERR_USAGE, "several nodes");
    options.exact_model = 1;
    name = "resid_post.30";
    expect_refusal(&options, ERR_USAGE, "resid_post.0 to resid_post.29");
    options.hooks_count = 0;
    expect_refusal(&options, ERR_USAGE, "stream.hooks");
    static const char *const twice[] = {"resid_post.3", "l_out-3"};
    options.hooks = twice;
    options.hooks_count = 2;
    expect_refusal(&options, ERR_USAGE, "same node");
}

static void models_that_are_none_are_told(void **state)
{
    (void)state;
    char *data;
    size_t size;
    struct engine_options options = options_of(100, 1);
    options.model_file = in_folder("missing.gguf");
    expect_refusal(&options, ERR_NOTFOUND, "missing.gguf");
    options.model_file = write_text("text.gguf", "this is a text");
    expect_refusal(&options, ERR_FORMAT, "not a GGUF file");
    options.model_file = write_text("empty.gguf", "");
    expect_refusal(&options, ERR_FORMAT, "not a GGUF file");
    options.model_file = folder;
    expect_refusal(&options, ERR_IO, folder);
    assert_int_equal(file_read(model_path(), 1 << 30, &data, &size), ERR_OK);
    options.model_file = write_file("cut.gguf", data, size / 2);
    expect_refusal(&options, ERR_FORMAT, "cut.gguf");
    options.model_file = write_file("cut.gguf", data, 1000);
    expect_refusal(&options, ERR_FORMAT, "cut.gguf");
    free(data);
    options = options_of(8193, 1);
    expect_refusal(&options, ERR_USAGE, "8192");
    options = options_of(64, 0);
    expect_refusal(&options, ERR_USAGE, "batch_contexts");
}

static void corpora_that_are_none_are_told(void **state)
{
    (void)state;
    const char *file = in_folder("no-corpus.txt");
    struct engine_options options = options_of(100, 1);
    options.corpus = &file;
    expect_refusal(&options, ERR_NOTFOUND, "no-corpus.txt");
    file = write_text("empty.txt", "");
    expect_refusal(&options, ERR_FORMAT, "empty");
    options.corpus_count = 0;
    expect_refusal(&options, ERR_USAGE, "capture.corpus");
}

static void the_corpus_hash_covers_what_shapes_contexts(void **state)
{
    (void)state;
    static const char *const low[] = {"resid_post.0"};
    uint64_t hash[5];
    for (int i = 0; i < 5; i++) {
        struct engine_options options = options_of(100, 1);
        options.hooks = low;
        if (i == 1) options.context_tokens = 65;
        if (i == 2) options.prepend_bos = 1;
        if (i == 3) options.on_bad_text = BAD_TEXT_FAIL;
        if (i == 4) options.batch_contexts = 2; /* shapes nothing */
        struct engine *e = open_engine(&options);
        hash[i] = engine_info(e)->corpus_hash;
        engine_close(e);
    }
    for (int i = 1; i < 4; i++) assert_true(hash[i] != hash[0]);
    assert_true(hash[4] == hash[0]);
}

int main(int argc, char **argv)
{
    (void)argc;
    engine_threads_passive(argv); /* another test may have the cores */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_sequences_in_a_batch_are_those_of_single_runs),
        cmocka_unit_test(a_context_longer_than_a_pass_is_the_same_context),
        cmocka_unit_test(many_hooks_in_one_pass_equal_single_ones),
        cmocka_unit_test(seeking_goes_on_where_it_was),
        cmocka_unit_test(the_last_layer_is_had_by_asking_for_all_outputs),
        cmocka_unit_test(the_prepared_model_is_as_good_as_the_file),
        cmocka_unit_test(rows_know_special_tokens_and_attention_sinks),
        cmocka_unit_test(the_count_is_what_all_shares_make),
        cmocka_unit_test(standard_input_is_a_corpus_that_cannot_be_read_again),
        cmocka_unit_test(bad_text_is_counted_or_fails),
        cmocka_unit_test(hooks_that_do_not_exist_are_told_with_those_that_do),
        cmocka_unit_test(models_that_are_none_are_told),
        cmocka_unit_test(corpora_that_are_none_are_told),
        cmocka_unit_test(the_corpus_hash_covers_what_shapes_contexts),
    };
    return cmocka_run_group_tests(tests, setup, remove_folder);
}
