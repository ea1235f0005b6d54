/* Anchors, aliases and merge keys: what goes before what, and what has no end. */
#include "tests/unit/config/rig.h"

#include <time.h>

#define NAME "stream: {name: t}\n"

static void an_items_own_keys_go_first(void **state)
{
    (void)state;
    accepts(NAME "trainer:\n"
                 "  saes:\n"
                 "  - &a {arch: topk, features: 64, k: 8, lr: 1e-3}\n"
                 "  - {<<: *a, k: 16}\n"
                 "  - {k: 4, <<: *a, name: last}\n"
                 "  - *a\n",
            "trainer.saes.3.name=copy");
    const struct config_sae *saes = config->trainer.saes;
    assert_int_equal(config->trainer.saes_count, 4);
    assert_int_equal(saes[1].options.k, 16);
    assert_int_equal(saes[1].options.features, 64);
    assert_true(saes[1].options.learning_rate == 1e-3);
    assert_int_equal(saes[2].options.k, 4);
    assert_string_equal(saes[2].name, "last");
    assert_int_equal(saes[3].options.k, 8);
}

static void of_a_list_the_first_goes_first(void **state)
{
    (void)state;
    accepts("x-a: &a {k: 8, features: 64}\n"
            "x-b: &b {k: 9, arch: topk, lr: 2e-3}\n"
            "x-c: &c {<<: *b, lr: 3e-3, decay: 0.5}\n" NAME
            "trainer:\n  saes:\n  - {<<: [*a, *c]}\n  - {<<: [*c, *a]}\n",
            NULL);
    const struct config_sae *saes = config->trainer.saes;
    assert_int_equal(saes[0].options.k, 8);
    assert_int_equal(saes[1].options.k, 9);
    assert_true(saes[0].options.learning_rate == 3e-3 &&
                saes[1].options.learning_rate == 3e-3); /* its own before what it merges */
    assert_true(saes[0].options.decay == 0.5);
}

static void every_section_merges(void **state)
{
    (void)state;
    accepts("x-rows: &rows {rows: 1234, width: 8}\n"
            "x-capture: &capture {engine: synthetic, synthetic: {<<: *rows, width: 16}}\n"
            "x-all: &all {capture: {<<: *capture, producers: 3}, sink: {size: 64MiB}}\n"
            "<<: *all\n"
            "stream: {name: t}\n"
            "broker: &off {http: off}\n"
            "trainer: {<<: *off, reuse: 2}\n"
            "up: {<<: {progress: false}}\n",
            NULL);
    assert_int_equal(config->capture.engine, CONFIG_SYNTHETIC);
    assert_int_equal(config->capture.producers, 3);
    assert_int_equal(config->capture.synthetic.rows, 1234);
    assert_int_equal(config->capture.synthetic.width, 16);
    assert_int_equal(config->sink.size_bytes, 64 << 20);
    assert_string_equal(config->trainer.http, "off");
    assert_int_equal(config->up.progress, 0);
}

/* A merged list of values makes one autoencoder of each, as if it stood there. */
static void lists_are_merged(void **state)
{
    (void)state;
    accepts(NAME "x-base: &base {arch: topk, features: [64, 128], k: 8}\n"
                 "trainer: {saes: [{<<: *base, k: [4, 8]}, {<<: *base, features: 256}]}\n",
            NULL);
    assert_int_equal(config->trainer.saes_count, 5);
    assert_string_equal(config->trainer.saes[0].name, "topk-64-k4");
    assert_int_equal(config->trainer.saes[4].options.features, 256);
    accepts(NAME "x-l: &l [a, b]\ntrainer: {consumers: *l}\n", NULL);
    assert_int_equal(config->trainer.consumers.count, 2);
    accepts(NAME, "trainer.saes=[&a {arch: topk, features: 64, k: 8}, {<<: *a, k: 9}]");
    assert_int_equal(config->trainer.saes[1].options.k, 9);
}

static void what_is_wrong_is_told_where_it_stands(void **state)
{
    (void)state;
    refuses("x-a: &a\n  sise: 8MiB\n" NAME "sink:\n  <<: *a\n", NULL, "t.yaml:2", "sink.sise",
            "did you mean 'size'");
    refuses(NAME "sink:\n  <<: 7\n", NULL, "t.yaml:3", "sink", "takes a mapping");
    refuses(NAME "sink:\n  <<: [{size: 8MiB}, 7]\n", NULL, "t.yaml:3", "takes a mapping");
    refuses(NAME "sink:\n  <<: {size: 8MiB}\n  <<: {size: 9MiB}\n", NULL, "t.yaml:4",
            "given twice");
    refuses(NAME "sink: {<<: {size: 8MiB, size: 9MiB}}\n", NULL, "t.yaml:2", "a key twice");
    refuses(NAME "sink: {size: 8MiB, size: 9MiB}\n", NULL, "given twice");
    refuses(NAME "sink: {'<<': {size: 8MiB}}\n", NULL, "unknown key"); /* quoted: no merge */
    refuses(NAME "sink: {<<: *nowhere}\n", NULL, "t.yaml:2", "not valid YAML");
    refuses(NAME "x: {}\n", NULL, "unknown key"); /* only x-... is passed over */
    refuses(NAME "sink: {x-y: 1}\n", NULL, "unknown key");
}

/* Of mappings that merge themselves, and of small files that stand for very large ones. */
static void what_has_no_end_is_refused(void **state)
{
    (void)state;
    clock_t begun = clock();
    refuses(NAME "sink: &a {<<: *a}\n", NULL, "t.yaml:2", "into itself");
    refuses(NAME "sink: &a {<<: [*a, *a, *a, *a]}\n", NULL, "into itself");
    refuses(NAME "x-a: &a {<<: {<<: *a}}\nsink: {<<: *a}\n", NULL, "into itself");
    refuses(NAME "x-a: &a {size: *a}\nsink: *a\n", NULL, "wrong type");
    refuses(NAME "trainer: &a {saes: [*a]}\n", NULL, "trainer.saes");
    char text[4096];
    int n = snprintf(text, sizeof text, NAME "x-0: &l0 {size: 8MiB}\n");
    for (int i = 1; i < 12; i++)
        n += snprintf(text + n, sizeof text - (size_t)n,
                      "x-%d: &l%d {<<: [*l%d, *l%d, *l%d, *l%d, *l%d, *l%d, *l%d, *l%d]}\n", i, i,
                      i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    snprintf(text + n, sizeof text - (size_t)n, "sink: {<<: *l11}\n");
    refuses(text, NULL, "too many into each other");
    assert_true((double)(clock() - begun) / CLOCKS_PER_SEC < 2);
}

static void what_is_printed_loads_back(void **state)
{
    (void)state;
    accepts(NAME "x-a: &a {arch: topk, features: 64, k: 8}\n"
                 "trainer: {saes: [*a, {<<: *a, k: 9}]}\n",
            NULL);
    char *printed = rig_printed();
    accepts(printed, NULL);
    assert_int_equal(config->trainer.saes[1].options.k, 9);
    char *again = rig_printed();
    assert_string_equal(again, printed);
    free(printed);
    free(again);
}

#define MERGE(name) cmocka_unit_test_teardown(name, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MERGE(an_items_own_keys_go_first),
        MERGE(of_a_list_the_first_goes_first),
        MERGE(every_section_merges),
        MERGE(lists_are_merged),
        MERGE(what_is_wrong_is_told_where_it_stands),
        MERGE(what_has_no_end_is_refused),
        MERGE(what_is_printed_loads_back),
    };
    return cmocka_run_group_tests_name("merges", tests, NULL, NULL);
}
