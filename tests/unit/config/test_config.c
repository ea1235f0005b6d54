/* Configuration: what is accepted, what is refused and in which words, where things live. */
#include "config/config.h"

#include "base/err.h"
#include "base/fileio.h"
#include "config/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

static struct config *config;

static int parse(const char *text, const char *set)
{
    config_free(config);
    config = NULL;
    return config_parse(text, strlen(text), "t.yaml", &set, set ? 1 : 0, &config);
}

static void accepts(const char *text, const char *set)
{
    int result = parse(text, set);
    if (result != ERR_OK) fail_msg("%s: %s", text, err_text());
}

/* Every word must be in the message. */
static void refuses_all(const char *text, const char *set, const char *const *words)
{
    if (parse(text, set) != ERR_USAGE) fail_msg("not refused: %s (%s)", text, set ? set : "");
    for (; *words; words++)
        if (!strstr(err_text(), *words)) fail_msg("'%s' is not in: %s", *words, err_text());
}
#define refuses(text, set, ...) refuses_all(text, set, (const char *const[]){__VA_ARGS__, NULL})

#define NAME                    "stream: {name: t}\n"

static int tear_down(void **state)
{
    (void)state;
    config_free(config);
    config = NULL;
    return 0;
}

static void test_what_a_user_writes(void **state)
{
    (void)state;
    accepts("stream:   { name: smollm2-l15, model: smollm2, hooks: [resid_post.15] }\n"
            "capture:  { engine: llama, corpus: [fortunes, docs/*.txt.gz], context_tokens: 512 }\n"
            "sink:     { size: 2GiB, durability: process }\n"
            "trainer:  { reuse: 4, saes: [ { arch: topk, features: 4608, k: 32, lr: 1e-3 } ] }\n",
            NULL);
    assert_string_equal(config->stream.name, "smollm2-l15");
    assert_int_equal(config->stream.dtype, DTYPE_BF16);
    assert_int_equal(config->stream.hooks.count, 1);
    assert_int_equal(config->capture.corpus.count, 2);
    assert_string_equal(config->capture.corpus.item[1], "docs/*.txt.gz");
    assert_true(config->sink.size_bytes == 2ull << 30);
    assert_int_equal(config->trainer.saes_count, 1);
    assert_string_equal(config->trainer.saes[0].name, "topk-4608-k32");
    assert_true(config->trainer.saes[0].options.learning_rate == 1e-3);
    assert_true(config->trainer.saes[0].options.decay == 0.2);
    assert_string_equal(config->trainer.consumers.item[0], "main");
    assert_int_equal(config_check_section(config, "capture"), ERR_OK);
    assert_int_equal(config_check_section(config, "trainer"), ERR_OK);
}

static void test_unknown_keys(void **state)
{
    (void)state;
    refuses(NAME "trainer:\n  bach_rows: 3\n", NULL, "t.yaml:3:", "trainer.bach_rows",
            "batch_rows");
    refuses(NAME "trianer: {reuse: 2}\n", NULL, "t.yaml:2:", "trianer", "'trainer'");
    refuses(NAME "trainer: {dtype: f32}\n", NULL, "t.yaml:2:", "section 'stream'");
    refuses(NAME "trainer: {zzzzzzzzzz: 1}\n", NULL, "--print-config");
    refuses(NAME "reuse: 4\n", NULL, "t.yaml:2: reuse", "section 'trainer'");
    refuses(NAME "capture: {synthetic: {with: 3}}\n", NULL, "capture.synthetic.with", "width");
    refuses(NAME "trainer: {saes: [{arch: l1, featurs: 3}]}\n", NULL, "trainer.saes.featurs",
            "features");
    refuses(NAME, "trainer.bach_rows=3", "--set trainer.bach_rows", "batch_rows");
    refuses(NAME, "trainr.reuse=3", "--set", "trainer");
    refuses(NAME "trainer: {reuse: 1, reuse: 2}\n", NULL, "t.yaml:2:", "given twice");
    refuses(NAME "sink: {size: 1GiB}\nsink: {window: 2}\n", NULL, "t.yaml:3:", "given twice");
    refuses(NAME "stream: {model: u}\n", NULL, "t.yaml:2: stream: given twice");
}

static void test_types_and_ranges(void **state)
{
    (void)state;
    refuses(NAME "trainer: {reuse: 0}\n", NULL, "t.yaml:2:", "trainer.reuse", "from 1 to 10000");
    refuses(NAME "trainer: {reuse: 1.5}\n", NULL, "trainer.reuse", "whole number");
    refuses(NAME "trainer: {reuse: -1}\n", NULL, "trainer.reuse");
    refuses(NAME "trainer: {reuse: 0x10}\n", NULL, "trainer.reuse");
    refuses(NAME "trainer: {reuse: nan}\n", NULL, "trainer.reuse");
    refuses(NAME "trainer: {reuse: 3 }\nsink: {size: 3}\n", NULL, "sink.size", "from 1MiB to");
    refuses(NAME "trainer: {reuse: [1]}\n", NULL, "trainer.reuse", "wrong type");
    refuses(NAME "trainer: {reuse: }\n", NULL, "trainer.reuse", "missing");
    refuses(NAME "trainer: {reuse: {a: b}}\n", NULL, "trainer.reuse", "wrong type");
    refuses(NAME "trainer: {consumers: [[a]]}\n", NULL, "trainer.consumers");
    refuses(NAME "trainer: [1]\n", NULL, "t.yaml:2: trainer", "mapping");
    refuses("- a\n", NULL, "t.yaml:1", "mapping");
    refuses(NAME "capture: {exact_model: yes}\n", NULL, "true, false");
    refuses(NAME "stream2: 1\n", NULL, "stream2");
    refuses("stream: {name: t, dtype: bf15}\n", NULL, "bf16, f32, int8", "did you mean 'bf16'");
    refuses(NAME "sink: {size: 2 gigs}\n", NULL, "sink.size", "2GiB");
    refuses(NAME "sink: {retention: 90}\n", NULL, "sink.retention", "90s, 30m, 1h or 7d");
    refuses(NAME "sink: {retention: 2 weeks}\n", NULL, "sink.retention", "from 0 to 10000d");
    refuses(NAME "sink: {retention: 0.1s}\n", NULL, "sink.retention", "a duration");
    refuses(NAME "sink: {retention: -1h}\n", NULL, "sink.retention", "a duration");
    refuses(NAME "capture: {max_rejected_share: 1.5}\n", NULL, "from 0 to 1");
    refuses(NAME "capture: {max_rejected_share: inf}\n", NULL, "max_rejected_share");
    refuses(NAME "trainer: {saes: {features: 3}}\n", NULL, "arch", "required");
    refuses(NAME "trainer: {saes: 3}\n", NULL, "list of mappings");
    accepts(NAME "sink: {size: 1.5GiB}\ncapture: {rows: 1e6, retained: 100 MB}\n", NULL);
    assert_true(config->sink.size_bytes == 3ull << 29);
    assert_true(config->capture.rows == 1000000);
    assert_true(config->capture.retained_bytes == 100000000);
    accepts(NAME "trainer: {seed: 9007199254740993}\n", NULL); /* 2^53 + 1 */
    assert_true(config->trainer.seed == 9007199254740993ull);
}

/* A duration has a unit, reads back as it was printed, and means something to a live stream alone. */
static void test_retention(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printed;
        uint64_t seconds;
    } spans[] = {{"90s", "retention: 90s\n", 90},       {"30m", "retention: 30m\n", 1800},
                 {"1.5h", "retention: 90m\n", 5400},    {"7d", "retention: 7d\n", 604800},
                 {"86400 s", "retention: 1d\n", 86400}, {"0", "retention: 0\n", 0},
                 {"\"\"", "retention: 0\n", 0}};
    char text[200], *printed;
    size_t bytes;
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        snprintf(text, sizeof text, "stream: {name: t, policy: shed}\nsink: {retention: %s}\n",
                 spans[i].text);
        accepts(text, NULL);
        assert_int_equal(config->sink.retention_seconds, spans[i].seconds);
        FILE *out = open_memstream(&printed, &bytes);
        assert_int_equal(config_print(config, out), ERR_OK);
        fclose(out);
        if (!strstr(printed, spans[i].printed)) fail_msg("'%s' is not printed", spans[i].printed);
        free(printed);
    }
    refuses(NAME "sink: {retention: 1h}\n", NULL, "t.yaml:2: sink.retention", "block", "HINT");
    accepts(NAME "sink: {retention: 0}\n", NULL);
}

/* A request to a tap is lines: what is no part of one would arrive as another text, and match nothing. */
static void test_excluded_text(void **state)
{
    (void)state;
    accepts(NAME "capture: {exclude_text: \"#private# \xc3\xa9\"}\n", NULL);
    assert_string_equal(config->capture.exclude_text, "#private# \xc3\xa9");
    refuses(NAME "capture: {exclude_text: \"#private#\\n\"}\n", NULL, "t.yaml:2",
            "capture.exclude_text", "control character", "HINT");
    refuses(NAME "capture:\n  exclude_text: |\n    #private#\n", NULL, "t.yaml:3",
            "control character");
    refuses(NAME, "capture.exclude_text=a\tb", "--set capture.exclude_text", "control character");
}

static void test_documents(void **state)
{
    (void)state;
    refuses("", NULL, "t.yaml", "empty");
    refuses("stream: {name: t\ntrainer:\n", NULL, "t.yaml:2", "not valid YAML");
    refuses(NAME "---\n" NAME, NULL, "t.yaml:3", "second document");
    refuses("stream: {name: \"a\\0b\"}\n", NULL, "stream.name");
    refuses("stream: &a {name: t, run_dir: *a}\n", NULL, "t.yaml:1");
    refuses("trainer: {reuse: 1}\n", NULL, "stream.name", "required");
    refuses("stream: {name: a/b}\n", NULL, "stream.name", "a/b");
    refuses("stream: {name: ..}\n", NULL, "stream.name");
}

static void test_set(void **state)
{
    (void)state;
    const char *text = NAME "trainer: {reuse: 2, saes: [{arch: topk, features: 64, k: 4}]}\n";
    accepts(text, "trainer.reuse=7");
    assert_int_equal(config->trainer.reuse, 7);
    accepts(text, "stream.hooks=[a, b]");
    assert_int_equal(config->stream.hooks.count, 2);
    accepts(text, "stream.hooks=a");
    assert_int_equal(config->stream.hooks.count, 1);
    accepts(text, "trainer.saes.0.k=5");
    assert_int_equal(config->trainer.saes[0].options.k, 5);
    assert_string_equal(config->trainer.saes[0].name, "topk-64-k5");
    accepts(text, "trainer.saes=[{arch: l1, features: 8}, {arch: count}]");
    assert_int_equal(config->trainer.saes_count, 2);
    accepts(text, "capture.synthetic.noise=0.5");
    assert_true(config->capture.synthetic.noise == 0.5);
    accepts(text, "trainer.consumers=[]");
    assert_int_equal(config->trainer.consumers.count, 0);
    refuses(text, "trainer.saes.1.k=5", "--set trainer.saes.1.k", "1 items");
    refuses(text, "trainer.saes.k=5", "trainer.saes.0.k");
    refuses(text, "trainer.reuse", "section.key=value");
    refuses(text, "=3", "section.key=value");
    refuses(text, "reuse=3", "section.key=value");
    refuses(text, "trainer.reuse=x", "--set trainer.reuse", "whole number");
    refuses(text, "stream.hooks=[a", "not valid YAML");
}

static void test_checks_between_options(void **state)
{
    (void)state;
    refuses(NAME "trainer:\n  saes:\n  - {arch: topk, features: 8}\n", NULL,
            "t.yaml:4:", "saes.0.k", "required");
    refuses(NAME "trainer: {saes: [{arch: batchtopk, features: 8}]}\n", NULL, "batchtopk", "");
    refuses(NAME "trainer: {saes: [{arch: matryoshka, features: 8, k: 1, levels: 5}]}\n", NULL,
            "5 levels need at least 16", "");
    refuses(NAME "trainer: {saes: [{arch: topk, features: 8, k: 9}]}\n", NULL, "k: 9",
            "features (8)");
    refuses(NAME "trainer: {saes: [{arch: l1}]}\n", NULL, "features", "required");
    refuses(NAME "trainer: {saes: [{arch: l1, features: 8}, {arch: l1, features: 8}]}\n", NULL,
            "saes.1.name", "twice");
    refuses(NAME "trainer: {saes: [{arch: l1, features: 8, lambda: -0.5}]}\n", NULL, "lambda",
            "-1 for");
    refuses(NAME "trainer: {saes: [{arch: l1, features: 8, target_l0: 9}]}\n", NULL, "target_l0",
            "9 is more than features (8)");
    refuses(NAME "trainer: {saes: [{arch: jumprelu, features: 8, target_l0: 4, lambda: 3}]}\n",
            NULL, "lambda", "beside target_l0");
    refuses(NAME "trainer: {saes: [{arch: topk, features: 8, k: 2, target_l0: 4}]}\n", NULL,
            "target_l0", "means nothing to topk");
    refuses(NAME "trainer: {saes: [{arch: l1, features: 8, lambda_ramp: -0.1}]}\n", NULL,
            "lambda_ramp", "-1 for");
    refuses(NAME "trainer: {saes: [{arch: l1, features: 8, warmup: 0.9}]}\n", NULL, "warmup");
    refuses(NAME "trainer: {consumers: [a, a]}\n", NULL, "t.yaml:2: trainer.consumers", "twice");
    refuses(NAME "trainer: {consumers: [buffer]}\n", NULL, "folder of the run");
    refuses(NAME "capture: {corpus: \"-\"}\n", NULL, "resumable: false");
    refuses(NAME "capture: {corpus: \"-\", resumable: false, producers: 2}\n", NULL, "producers");
    accepts(NAME "capture: {corpus: \"-\", resumable: false}\n", NULL);
    refuses(NAME "capture: {rows_per_second: 0.0009}\n", NULL, "t.yaml:2: capture.rows_per_second",
            "below 0.001");
    accepts(NAME "capture: {rows_per_second: 0.001}\n", NULL);
    accepts(NAME "capture: {rows_per_second: 0}\n", NULL);
    refuses(NAME "sink: {size: 1MiB, slab: 1MiB}\n", NULL, "sink.slab", "64");
    refuses(NAME "capture: {engine: synthetic}\ntrainer: {min_rows: 100000000}\n", NULL,
            "t.yaml:3: trainer.min_rows", "buffer holds");
    refuses(NAME "capture: {engine: synthetic}\nsink: {size: 1MiB}\n", NULL,
            "trainer.batch_rows (not given)", "quarter");
}

static void test_nothing_leaves_the_machine(void **state)
{
    (void)state;
    static const char *const out[] = {"0.0.0.0:9090", "*:9090", "192.168.1.1:0", "[::]:1",
                                      "127.evil.example:1"};
    char set[64];
    for (size_t i = 0; i < sizeof out / sizeof out[0]; i++) {
        snprintf(set, sizeof set, "broker.http=%s", out[i]);
        refuses(NAME, set, "broker.http", "other machines");
        snprintf(set, sizeof set, "broker.front=tcp://%s", out[i]);
        refuses(NAME, set, "broker.front");
        refuses(NAME "broker: {insecure_tcp: true}\n", set, "broker.front");
    }
    refuses(NAME, "sink.http=127.0.0.1", "sink.http");
    refuses(NAME, "sink.http=127.0.0.1:99999", "sink.http");
    refuses(NAME, "broker.back=inproc://x", "broker.back", "endpoint");
    refuses(
        NAME
        "broker: {insecure_tcp: true, front: \"tcp://127.0.0.1:1\", back: \"tcp://127.0.0.1:1\"}\n",
        NULL, "broker.back");
    accepts(NAME, "broker.http=[::1]:9090");
    accepts(NAME, "broker.http=localhost:9090");
    accepts(NAME, "broker.http=off");
}

/* A tcp endpoint has keys, on loopback too; without them it is a test's, and on loopback. */
static void test_tcp_needs_keys(void **state)
{
    (void)state;
    static const char keys[] = NAME "broker: {keys: /k}\n",
                      insecure[] = NAME "broker: {insecure_tcp: true}\n";
    refuses(NAME, "broker.front=tcp://127.0.0.1:5555", "broker.front", "keygen");
    accepts(keys, "broker.front=tcp://127.0.0.1:5555");
    accepts(keys, "broker.front=tcp://192.168.1.1:5555");
    accepts(insecure, "broker.front=tcp://127.0.0.1:5555");
    refuses(insecure, "broker.front=tcp://192.168.1.1:5555", "broker.front", "loopback");
    refuses(keys, "broker.front=tcp://localhost:5555", "broker.front", "numbers");
    refuses(keys, "broker.front=tcp://example.org:5555", "broker.front", "numbers");
    refuses(keys, "broker.front=tcp://*:5555", "broker.front", "numbers");
    refuses(keys, "broker.front=tcp://eth0:5555", "broker.front", "numbers");
    refuses(keys, "broker.front=tcp://10.0.0.1", "broker.front", "port");
    accepts(keys, "broker.front=tcp://127.0.0.1:5555");
    accepts(keys, "broker.front=tcp://127.3.2.1:65535");
    refuses(keys, "broker.front=tcp://localhost:5555", "broker.front",
            "HINT: tcp://127.0.0.1:5555");
    refuses(keys, "broker.front=tcp://[::1]:5555", "IPv6", "tcp://127.0.0.1:5555");
    refuses(keys, "broker.front=tcp://127.0.0.1:0", "port open", "HINT");
    refuses(keys, "broker.front=tcp://127.0.0.1:65536", "no port from 1 to 65535");
    refuses(keys, "broker.front=tcp://127.1:5555", "four numbers");
    refuses(NAME, "broker.http=127.1:5555", "is not an address", "HINT");
    refuses(keys, "broker.front=ipc:///front", "folder of its own");
}

static void test_sections(void **state)
{
    (void)state;
    accepts(NAME, NULL);
    assert_int_equal(config_check_section(config, "broker"), ERR_OK);
    assert_int_equal(config_check_section(config, "trainer"), ERR_USAGE);
    assert_int_equal(config_fail(config, "stream", "model", "is of lead"), ERR_USAGE);
    assert_string_equal(err_text(), "t.yaml: stream.model (not given): is of lead");
}

static void test_rows_of_the_buffer(void **state)
{
    (void)state;
    accepts(NAME "sink: {size: 88MiB}\n", NULL);
    assert_int_equal(config_check_rows(config, 576, 0), ERR_OK);
    assert_int_equal(config_check_rows(config, 576, 16384), ERR_OK);
    assert_int_equal(config_check_rows(config, 576, 16383), ERR_USAGE);
    assert_int_equal(config_check_rows(config, 8192, 0), ERR_USAGE);
    assert_int_equal(config_check_rows(config, ROW_MAX_WIDTH + 1, 0), ERR_USAGE);
    accepts(NAME, "trainer.min_rows=5000");
    assert_int_equal(config_check_rows(config, 64, 20000), ERR_OK);
    assert_int_equal(config_check_rows(config, 64, 4999), ERR_USAGE);
}

/* Every default keeps its own range, and what is printed gives the same configuration again. */
static char *printed(const struct config *c)
{
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    assert_int_equal(config_print(c, out), ERR_OK);
    fclose(out);
    return text;
}

static void test_print_and_load_again(void **state)
{
    (void)state;
    accepts("stream: {name: t, hooks: [\"a\\\"b\", 'c\\d', \"tab\\tx\", \"~\", \"true\", ä]}\n"
            "sink: {size: 123456789}\n"
            "capture: {max_norm_ratio: 0.1, corpus: [a], keep_sinks: true, prepend_bos: false}\n"
            "trainer: {consumers: [], saes: [{arch: l1, features: 3, lr: 1.0000000000000002e-3},"
            " {arch: count}]}\n",
            NULL);
    char *first = printed(config);
    accepts(first, NULL);
    char *second = printed(config);
    assert_string_equal(first, second);
    assert_string_equal(config->stream.hooks.item[0], "a\"b");
    assert_string_equal(config->stream.hooks.item[1], "c\\d");
    assert_string_equal(config->stream.hooks.item[2], "tab\tx");
    assert_true(config->trainer.saes[0].options.learning_rate == 1.0000000000000002e-3);
    free(first);
    free(second);
    accepts(NAME,
            "stream.model=\xc2\x85 \xe2\x80\xa8 \xc2\x9f \xef\xbb\xbf \xf0\x9f\x98\x80 \x01\x7f");
    char *odd = strdup(config->stream.model), *text = printed(config);
    accepts(text, NULL);
    assert_string_equal(config->stream.model, odd);
    free(odd);
    free(text);
    refuses(NAME, "stream.model=a\xff", "--set stream.model", "UTF-8");
    refuses(NAME, "stream.model=\xed\xa0\x80", "UTF-8");
    refuses(NAME, "stream.model=\xc0\x80", "UTF-8");
    refuses(NAME, "stream.model=\xe2\x80", "UTF-8");
    char *defaults = printed(NULL);
    for (size_t i = 0; i < config_options_count; i++) {
        assert_non_null(strstr(defaults, config_options[i].key));
        assert_non_null(strstr(defaults, config_options[i].meaning));
    }
    accepts(defaults, "stream.name=t"); /* all that is missing */
    free(defaults);
}

static void test_table(void **state)
{
    (void)state;
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    assert_int_equal(config_write_markdown(out), ERR_OK);
    assert_int_equal(config_write_man(out), ERR_OK);
    fclose(out);
    for (size_t i = 0; i < config_options_count; i++) {
        const struct config_option *option = &config_options[i];
        assert_int_equal(config_option_find(option->section, option->key), (int)i);
        assert_non_null(strstr(text, option->key));
        assert_non_null(option->meaning);
    }
    free(text);
}

static void names_are_all(const char *const *names)
{
    for (uint32_t i = 0; i < config->trainer.saes_count; i++, names++) {
        if (!*names) fail_msg("%s is one too many", config->trainer.saes[i].name);
        assert_string_equal(config->trainer.saes[i].name, *names);
    }
    if (*names) fail_msg("%s is missing", *names);
}
#define names_are(...) names_are_all((const char *const[]){__VA_ARGS__, NULL})

/* An item with lists is the product of them, in the order of the table of options. */
static void test_lists(void **state)
{
    (void)state;
    accepts(NAME "trainer:\n  saes:\n  - {seed: [1, 2], arch: topk, k: 4, features: [64, 128]}\n"
                 "  - {arch: l1, features: 8}\n",
            NULL);
    names_are("topk-64-k4-seed1", "topk-64-k4-seed2", "topk-128-k4-seed1", "topk-128-k4-seed2",
              "l1-8");
    assert_int_equal(config->trainer.saes[2].options.features, 128);
    assert_int_equal(config->trainer.saes[2].options.k, 4);
    assert_true(config->trainer.saes[2].options.seed == 1 &&
                config->trainer.saes[3].options.seed == 2);
    accepts(NAME "trainer: {saes: [{arch: [topk, batchtopk], features: [64], k: [4, 8], "
                 "lr: [1e-3, 0.002]}]}\n",
            NULL);
    names_are("topk-64-k4-lr0.001", "topk-64-k4-lr0.002", "topk-64-k8-lr0.001",
              "topk-64-k8-lr0.002", "batchtopk-64-k4-lr0.001", "batchtopk-64-k4-lr0.002",
              "batchtopk-64-k8-lr0.001", "batchtopk-64-k8-lr0.002");
    assert_true(config->trainer.saes[7].options.learning_rate == 0.002);
    accepts(NAME "trainer: {saes: [{arch: [l1, gated], name: my, features: [8, 9], "
                 "lambda: [1e6, 0.5]}]}\n",
            NULL);
    names_are("my-l1-8-lambda1e06", "my-l1-8-lambda0.5", "my-l1-9-lambda1e06", "my-l1-9-lambda0.5",
              "my-gated-8-lambda1e06", "my-gated-8-lambda0.5", "my-gated-9-lambda1e06",
              "my-gated-9-lambda0.5");
    accepts(NAME "trainer: {saes: [{arch: gated, features: 64, target_l0: [4, 8]}]}\n", NULL);
    names_are("gated-64-target_l0-4", "gated-64-target_l0-8");
    /* Defaults are each autoencoder's own. */
    accepts(NAME "trainer: {saes: [{arch: [l1, jumprelu], features: 8}]}\n", NULL);
    assert_true(config->trainer.saes[0].options.lambda == 5 &&
                config->trainer.saes[1].options.lambda == 10);
    /* What is printed is the expanded list. */
    char *first = printed(config);
    accepts(first, NULL);
    names_are("l1-8", "jumprelu-8");
    char *second = printed(config);
    assert_string_equal(first, second);
    free(first);
    free(second);
}

/* Which of the stream's hooks an autoencoder sees. */
static void test_hooks_of_one(void **state)
{
    (void)state;
    const char *three = "stream: {name: t, hooks: [resid_post.1, resid_post.2, ffn_out-2]}\n"
                        "trainer:\n  saes:\n  - {arch: topk, features: 64, k: 4%s}\n";
    char text[512];
    snprintf(text, sizeof text, three, ", hooks: [resid_post.1, 'resid_post.2 , ffn_out-2', '']");
    accepts(text, NULL);
    names_are("topk-64-k4-resid_post.1", "topk-64-k4-resid_post.2-ffn_out-2", "topk-64-k4");
    assert_string_equal(config->trainer.saes[1].hooks, "resid_post.2 , ffn_out-2");
    char *first = printed(config);
    accepts(first, NULL);
    char *second = printed(config);
    assert_string_equal(first, second);
    free(first);
    free(second);
    snprintf(text, sizeof text, three, ", name: x, hooks: [resid_post.1, ffn_out-2]");
    accepts(text, NULL);
    names_are("x-resid_post.1", "x-ffn_out-2");
    accepts(text, "trainer.saes.0.hooks=resid_post.2");
    names_are("x");
    snprintf(text, sizeof text, three, ", hooks: resid_post.3");
    refuses(text, NULL, "t.yaml:4: trainer.saes.0.hooks", "'resid_post.3' is none",
            "it has resid_post.1, resid_post.2, ffn_out-2");
    snprintf(text, sizeof text, three, ", hooks: 'resid_post.1, resid_post.1'");
    refuses(text, NULL, "trainer.saes.0.hooks", "'resid_post.1' is there twice");
    snprintf(text, sizeof text, three, ", hooks: 'resid_post.1,'");
    refuses(text, NULL, "trainer.saes.0.hooks", "no name before or behind a comma");
    snprintf(text, sizeof text, three, "}\n  - {arch: count, hooks: ffn_out-2");
    refuses(text, NULL, "trainer.saes.1.hooks", "means nothing to count");
    accepts("stream: {name: t, hooks: [a, b]}\n"
            "trainer: {saes: [{arch: [l1, count], features: 64, hooks: b}]}\n",
            NULL);
    assert_string_equal(config->trainer.saes[0].hooks, "b");
    assert_string_equal(config->trainer.saes[1].hooks, ""); /* as if it weren't there */
    snprintf(text, sizeof text, three, "}\n  - {arch: transcoder, features: 64, k: 4");
    refuses(text, NULL, "trainer.saes.1.arch", "two stream.hooks", "there are 3");
    snprintf(text, sizeof text, three,
             "}\n  - {arch: transcoder, features: 64, k: 4, hooks: 'resid_post.1, ffn_out-2'");
    accepts(text, NULL);
    snprintf(text, sizeof text, three, "}\n  - {arch: crosscoder, features: 64, hooks: ffn_out-2");
    refuses(text, NULL, "trainer.saes.1.hooks", "two hooks or more", "there is 1");
    /* What is made of many long names, or of others, is no name, and says so. */
    accepts("stream: {name: t, hooks: [ffn/out-0, ffn_out-1]}\n"
            "trainer: {saes: [{arch: l1, features: 64, hooks: ffn/out-0}]}\n",
            NULL);
    names_are("l1-64-ffn-out-0");
    refuses(
        "stream: {name: t, hooks: [ffn_norm-10, ffn_out-10, ffn_norm-11, ffn_out-11, ffn_norm-12, "
        "ffn_out-12]}\n"
        "trainer: {saes: [{arch: clt, features: 12, hooks: 'ffn_norm-10, ffn_out-10, ffn_norm-11, "
        "ffn_out-11, ffn_norm-12, ffn_out-12'}]}\n",
        NULL, "is not a name", "HINT: it was made; give one");
    refuses(
        "stream: {name: t, hooks: [ffn_norm-10, ffn_out-10, ffn_norm-11, ffn_out-11, ffn_norm-12, "
        "ffn_out-12, ffn_norm-13, ffn_out-13, ffn_norm-14, ffn_out-14]}\n"
        "trainer: {saes: [{name: x, arch: clt, features: 12, hooks: ['ffn_norm-10, ffn_out-10, "
        "ffn_norm-11, ffn_out-11, ffn_norm-12, ffn_out-12, ffn_norm-13, ffn_out-13, ffn_norm-14, "
        "ffn_out-14', 'ffn_norm-10, ffn_out-10']}]}\n",
        NULL, "is not a name");
    refuses("stream: {name: t, hooks: [a, b]}\n"
            "trainer: {saes: [{arch: clt, features: 12, target_l0: 4, lambda: 5}]}\n",
            NULL, "lambda", "beside target_l0");
    accepts(
        "stream: {name: t, hooks: [a, b]}\n"
        "trainer: {saes: [{arch: clt, features: 12, k: 2, activation: [jumprelu, batchtopk]}]}\n",
        NULL);
    snprintf(text, sizeof text, three, "}\n  - {arch: clt, features: 64");
    refuses(text, NULL, "trainer.saes.1.arch", "pairs of stream.hooks", "there are 3");
}

static void test_defaults_of_architectures(void **state)
{
    (void)state;
    accepts("stream: {name: t, hooks: [resid_post.1, resid_post.2]}\n"
            "trainer:\n  saes:\n  - {arch: [l1, topk, matryoshka], features: 64, k: 4}\n"
            "  - {arch: crosscoder, activation: [l1, batchtopk], features: 64, k: 4}\n"
            "  - {arch: transcoder, features: 64, k: 4}\n"
            "  - {arch: topk, features: 65, k: 4, decoder_lr_factor: 1}\n",
            NULL);
    const double factors[] = {1, 3, 3, 1, 3, 1, 1};
    assert_int_equal(config->trainer.saes_count, 7);
    for (int i = 0; i < 7; i++)
        assert_true(config->trainer.saes[i].options.decoder_lr_factor == factors[i]);
}

static void test_lists_by_set(void **state)
{
    (void)state;
    const char *text = NAME "trainer: {saes: [{arch: l1, features: [8, 16]}]}\n";
    accepts(text, "trainer.saes=[{arch: topk, features: 64, k: [4, 8]}]");
    names_are("topk-64-k4", "topk-64-k8");
    accepts(text, "trainer.saes=[{name: a, arch: topk, features: 64, k: [4, 8]}]");
    names_are("a-k4", "a-k8");
    refuses(text, "trainer.saes.0.features=[32, 64]", "--set trainer.saes.0.features",
            "whole number");
    refuses(text, "trainer.saes.1.features=32", "1 items");
    refuses(text, "trainer.saes=[{arch: topk, features: 64, k: []}]", "--set trainer.saes.k",
            "empty");
}

/* Items are those of the file, as the user wrote them: lists before one don't move it. */
static void test_set_counts_what_was_written(void **state)
{
    (void)state;
    const char *text = NAME "trainer:\n  saes:\n  - {arch: l1, features: [8, 16], seed: [1, 2]}\n"
                            "  - {name: mid, arch: topk, features: 64, k: 4}\n"
                            "  - {arch: [topk, l1], features: [9, 10], k: 4}\n";
    accepts(text, "trainer.saes.1.k=5");
    assert_int_equal(config_items(config), 3);
    assert_int_equal(config_item_of(config, 3), 0);
    assert_int_equal(config_item_of(config, 4), 1);
    assert_string_equal(config->trainer.saes[4].name, "mid");
    assert_int_equal(config->trainer.saes[4].options.k, 5);
    assert_int_equal(config->trainer.saes[5].options.k, 4);
    /* A value for all that the item stands for; one value in place of a list. */
    accepts(text, "trainer.saes.0.lr=0.125");
    for (int i = 0; i < 4; i++) assert_true(config->trainer.saes[i].options.learning_rate == 0.125);
    accepts(text, "trainer.saes.0.features=32");
    names_are("l1-32-seed1", "l1-32-seed2", "mid", "topk-9-k4", "topk-10-k4", "l1-9", "l1-10");
    assert_int_equal(config_item_of(config, 2), 1);
    accepts(text, "trainer.saes.0.name=\"first\"");
    assert_string_equal(config->trainer.saes[3].name, "first-16-seed2");
    accepts(text, "trainer.saes.2.arch=topk");
    names_are("l1-8-seed1", "l1-8-seed2", "l1-16-seed1", "l1-16-seed2", "mid", "topk-9-k4",
              "topk-10-k4");
    accepts(text, "trainer.saes.2.k=6"); /* for those that know it */
    assert_int_equal(config->trainer.saes[5].options.k, 6);
    assert_int_equal(config->trainer.saes[7].options.k, 0);
    refuses(text, "trainer.saes.3.k=5", "--set trainer.saes.3.k", "3 items, counted from 0");
    refuses(text, "trainer.saes.0.k=5", "--set trainer.saes.0.k", "means nothing to l1");
    refuses(text, "trainer.saes.2.k=60", "--set trainer.saes.2.k", "more than features (9)");
    /* What the file gets wrong is told by its item, too. */
    refuses(NAME "trainer:\n  saes:\n  - {arch: l1, features: [8, 16]}\n"
                 "  - {arch: topk, features: 8}\n",
            NULL, "t.yaml:5: trainer.saes.1.k", "required");
    const char *const sets[] = {"trainer.saes.0.features=32", "trainer.saes.1.k=7",
                                "trainer.saes.0.seed=3"};
    config_free(config);
    assert_int_equal(config_parse(text, strlen(text), "t.yaml", sets, 3, &config), ERR_OK);
    names_are("l1-32", "mid", "topk-9-k4", "topk-10-k4", "l1-9", "l1-10");
    assert_int_equal(config->trainer.saes[1].options.k, 7);
}

static void test_lists_that_are_refused(void **state)
{
    (void)state;
    const char *k65 = "[1,2,3,4,5,6,7,8,9,10,11,12,13]";
    char text[512];
    snprintf(text, sizeof text,
             NAME "trainer:\n  saes:\n  - {arch: topk, features: 64, seed: [1,2,3,4,5], k: %s}\n",
             k65);
    refuses(text, NULL, "t.yaml:4: trainer.saes:", "makes 65 autoencoders", "0 stand",
            "at most 64");
    snprintf(text, sizeof text,
             NAME "trainer:\n  saes:\n  - {arch: topk, features: 64, seed: [1,2,3,4], k: %s}\n"
                  "  - {arch: topk, features: 64, seed: [5], k: %s}\n",
             k65, k65);
    refuses(text, NULL, "t.yaml:5: trainer.saes:", "makes 13 autoencoders", "52 stand");
    refuses(NAME "trainer: {saes: [{arch: topk, features: 64, k: []}]}\n", NULL,
            "t.yaml:2: trainer.saes.k", "empty");
    refuses(NAME "trainer: {saes: [{arch: topk, features: 64, k: 4, name: [a, b]}]}\n", NULL,
            "t.yaml:2: trainer.saes.name", "one text");
    refuses(NAME "trainer:\n  saes:\n  - arch: topk\n    features: 64\n    k: [4,\n      x]\n",
            NULL, "t.yaml:7: trainer.saes.k", "'x' is not allowed");
    refuses(NAME "trainer: {saes: [{arch: topk, features: 64, k: [[4]]}]}\n", NULL,
            "trainer.saes.k", "wrong type");
    refuses(NAME "trainer: {saes: [{arch: topk, features: 64, k: 1, k: [4, 5]}]}\n", NULL,
            "trainer.saes.k: given twice");
    refuses(NAME "trainer: {saes: [{arch: topk, features: 64, k: [4, 5], k: [1]}]}\n", NULL,
            "trainer.saes.k: given twice");
    refuses(NAME "trainer: {saes: [{arch: topk, features: 64, ks: [4]}]}\n", NULL,
            "trainer.saes.ks: unknown key");
    /* The same autoencoder twice. */
    refuses(NAME "trainer: {saes: [{arch: topk, features: 64, k: [4, 4]}]}\n", NULL,
            "saes.0.name: 'topk-64-k4' is there twice", "each value of a list once");
    refuses(NAME
            "trainer: {saes: [{name: a, arch: topk, features: 64, k: 4, lr: [1e-3, 0.001]}]}\n",
            NULL, "'a-lr0.001' is there twice");
    /* A list of what the architecture does not have. */
    refuses(NAME "trainer:\n  saes:\n  - {arch: [topk, l1], features: 64, k: [4, 8]}\n", NULL,
            "t.yaml:4: trainer.saes.0.k", "means nothing to l1", "item of its own");
    refuses(NAME "trainer: {saes: [{arch: topk, features: 64, k: 4, lambda: [4, 8]}]}\n", NULL,
            "lambda", "means nothing to topk");
    refuses(NAME "trainer: {saes: [{arch: gated, features: 64, bandwidth: [4, 8]}]}\n", NULL,
            "bandwidth", "means nothing to gated");
    refuses(NAME "trainer: {saes: [{arch: count, seed: [4, 8]}]}\n", NULL, "seed",
            "means nothing to count");
    /* A value that nobody in the item has a use for. */
    const char *l1 = NAME "trainer:\n  saes:\n  - {arch: topk, features: 64, k: 4}\n"
                          "  - {arch: l1, features: 64%s}\n";
    snprintf(text, sizeof text, l1, ", k: 4");
    refuses(text, NULL, "t.yaml:5: trainer.saes.1.k", "means nothing to l1", "leave it out");
    snprintf(text, sizeof text, l1, "");
    const char *l1topk = text;
    refuses(text, "trainer.saes.1.k=4", "--set", "trainer.saes.1.k", "means nothing to l1");
    const char *both = NAME "trainer: {saes: [{arch: [topk, l1], features: 64, k: 4}]}\n";
    accepts(both, NULL);
    assert_int_equal(config->trainer.saes[1].options.k, 0); /* as if it weren't there */
    accepts(both, "trainer.saes.0.k=9");
    assert_true(config->trainer.saes[0].options.k == 9 && config->trainer.saes[1].options.k == 0);
    refuses(l1topk, "trainer.saes.0.arch=l1", "t.yaml:4: trainer.saes.0.k", "means nothing to l1",
            "--set 'trainer.saes=[{arch: l1, ...}]'");
    /* Nor does it make another of one that doesn't know it; and what is printed says the same. */
    accepts("stream: {name: t, hooks: [resid_post.1, resid_post.2]}\n"
            "trainer: {saes: [{arch: [transcoder, crosscoder, l1], activation: topk, skip: true, "
            "features: 64, k: 4}]}\n",
            NULL);
    names_are("skip-transcoder-64-k4", "crosscoder-topk-64-k4", "l1-64");
    assert_true(config->trainer.saes[1].options.skip == 0 &&
                config->trainer.saes[2].options.lambda == 5);
    char *first = printed(config);
    accepts(first, NULL);
    char *second = printed(config);
    assert_string_equal(first, second);
    free(first);
    free(second);
    /* The product of eight lists is no reason to count for ever. */
    refuses(NAME
            "trainer: {saes: [{arch: topk, features: [1,2,3,4,5,6,7,8,9], k: [1,2,3,4,5,6,7,8],"
            " lr: [1,2,3,4,5,6,7,8], seed: [1,2,3,4,5,6,7,8], warmup: [0,0.1,0.2,0.3,0.4],"
            " levels: [1,2,3,4,5,6,7,8], decay: [0,0.1,0.2,0.3,0.4,0.5]}]}\n",
            NULL, "makes 1105920 autoencoders");
}

static void test_paths(void **state)
{
    (void)state;
    char out[CONFIG_PATH_BYTES], long_dir[200], *corpus;
    char cache[] = "/tmp/sluice-config-XXXXXX";
    assert_non_null(mkdtemp(cache));
    setenv("HOME", "/home/x", 1);
    setenv("XDG_STATE_HOME", "relative", 1); /* not absolute: ignored */
    setenv("XDG_CACHE_HOME", cache, 1);
    accepts(NAME, NULL);
    assert_string_equal(config->run_dir, "/home/x/.local/state/sluice/t");
    setenv("XDG_STATE_HOME", "/state", 1);
    accepts(NAME, NULL);
    assert_string_equal(config->run_dir, "/state/sluice/t");
    assert_int_equal(config_endpoint(config, CONFIG_FRONT, out), ERR_OK);
    assert_string_equal(out, "ipc:///state/sluice/t/ipc/front");
    assert_int_equal(config_http_file(config, "sink", out), ERR_OK);
    assert_string_equal(out, "/state/sluice/t/http/sink");
    accepts(NAME, "stream.run_dir=~/runs");
    assert_string_equal(config->run_dir, "/home/x/runs");
    assert_int_equal(config_truth_file(config, out), ERR_OK);
    assert_string_equal(out, "");
    accepts(NAME, "capture.synthetic.truth_file=truth");
    assert_int_equal(config_truth_file(config, out), ERR_OK);
    assert_string_equal(out + strlen(config->run_dir), "/truth"); /* a run's files are together */
    accepts(NAME, "capture.synthetic.truth_file=/there/truth");
    assert_int_equal(config_truth_file(config, out), ERR_OK);
    assert_string_equal(out, "/there/truth");
    accepts(NAME, "stream.run_dir=here");
    assert_int_equal(config->run_dir[0], '/');

    memset(long_dir, 'd', sizeof long_dir);
    memcpy(long_dir, "stream.run_dir=/", 16);
    long_dir[sizeof long_dir - 1] = '\0';
    accepts(NAME, long_dir);
    unsetenv("XDG_RUNTIME_DIR");
    assert_int_equal(config_endpoint(config, CONFIG_BACK, out), ERR_OK);
    assert_int_equal(strncmp(out, "ipc:///tmp/sluice-", 18), 0);
    assert_true(strlen(out) < 106);
    assert_non_null(strstr(out, "/back"));

    assert_int_equal(asprintf(&corpus, "%s/sluice/corpus", cache) > 0, 1);
    assert_int_equal(dir_make(corpus, 0700), ERR_OK);
    snprintf(out, sizeof out, "%s/book.txt.gz", corpus);
    assert_int_equal(file_replace(out, "x", 1), ERR_OK);
    struct config_list files;
    accepts("stream: {name: t, model: nosuch}\ncapture: {corpus: [book, \"*.txt\"]}\n", NULL);
    assert_int_equal(config_corpus(config, &files), ERR_OK);
    assert_int_equal(files.count, 2);
    assert_string_equal(files.item[0], out);
    config_list_free(&files);
    assert_int_equal(config_model_path(config, out), ERR_USAGE);
    assert_non_null(strstr(err_text(), "make model"));
    accepts("stream: {name: t, model: nosuch.gguf}\n", NULL);
    assert_int_equal(config_model_path(config, out), ERR_USAGE);
    assert_non_null(strstr(err_text(), "/models/nosuch.gguf;"));
    assert_null(strstr(err_text(), ".gguf.gguf"));
    accepts(NAME "capture: {corpus: [bok]}\n", NULL);
    assert_int_equal(config_corpus(config, &files), ERR_USAGE);
    assert_non_null(strstr(err_text(), "bok"));
    free(corpus);
    dir_remove(cache);
}

static void test_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t hooks;
    } shipped[] = {{"quickstart", 1},    {"short", 1},      {"synthetic", 1},
                   {"two-producers", 1}, {"sweep", 1},      {"layers", 6},
                   {"transcoder", 2},    {"crosscoder", 3}, {"clt", 6}};
    char path[64];
    setenv("HOME", "/home/x", 1);
    for (size_t i = 0; i < sizeof shipped / sizeof shipped[0]; i++) {
        snprintf(path, sizeof path, "configs/%s.yaml", shipped[i].name);
        config_free(config);
        config = NULL;
        if (config_load(path, NULL, 0, &config) != ERR_OK) fail_msg("%s", err_text());
        uint32_t width =
            config->capture.engine == CONFIG_SYNTHETIC ? config->capture.synthetic.width : 576;
        width *= shipped[i].hooks;
        assert_int_equal(config_check_rows(config, width, 0), ERR_OK);
        assert_int_equal(config_check_section(config, "capture"), ERR_OK);
        assert_int_equal(config_check_section(config, "trainer"), ERR_OK);
    }
    config_free(config);
    config = NULL;
    assert_int_equal(config_load("/nowhere/x.yaml", NULL, 0, &config), ERR_NOTFOUND);
    assert_non_null(strstr(err_text(), "/nowhere/x.yaml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_what_a_user_writes, tear_down),
        cmocka_unit_test_teardown(test_unknown_keys, tear_down),
        cmocka_unit_test_teardown(test_types_and_ranges, tear_down),
        cmocka_unit_test_teardown(test_retention, tear_down),
        cmocka_unit_test_teardown(test_excluded_text, tear_down),
        cmocka_unit_test_teardown(test_documents, tear_down),
        cmocka_unit_test_teardown(test_set, tear_down),
        cmocka_unit_test_teardown(test_checks_between_options, tear_down),
        cmocka_unit_test_teardown(test_nothing_leaves_the_machine, tear_down),
        cmocka_unit_test_teardown(test_tcp_needs_keys, tear_down),
        cmocka_unit_test_teardown(test_sections, tear_down),
        cmocka_unit_test_teardown(test_rows_of_the_buffer, tear_down),
        cmocka_unit_test_teardown(test_hooks_of_one, tear_down),
        cmocka_unit_test_teardown(test_print_and_load_again, tear_down),
        cmocka_unit_test_teardown(test_table, tear_down),
        cmocka_unit_test_teardown(test_lists, tear_down),
        cmocka_unit_test_teardown(test_defaults_of_architectures, tear_down),
        cmocka_unit_test_teardown(test_lists_by_set, tear_down),
        cmocka_unit_test_teardown(test_set_counts_what_was_written, tear_down),
        cmocka_unit_test_teardown(test_lists_that_are_refused, tear_down),
        cmocka_unit_test_teardown(test_paths, tear_down),
        cmocka_unit_test_teardown(test_files, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
