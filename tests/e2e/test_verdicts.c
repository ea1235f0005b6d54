/*
 * `check` and `up` judge alike: what one refuses the other refuses, with the same sentence and the
 * same exit code, and an error of input is tried once.
 */
#include "tests/e2e/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECONDS = 90, TEXT_BYTES = 8192, WIDTH = 16 };

/* ---- what the configurations name ---- */

static void put(const struct run *run, const char *name, const void *data, size_t bytes)
{
    char path[2 * HARNESS_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", run->dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static void put_npy(const struct run *run, const char *name, const char *descr, int rows, int width,
                    int there)
{
    size_t bytes = 128 + (size_t)there * (size_t)width * 4;
    unsigned char *data = calloc(1, bytes);
    memcpy(data, "\x93NUMPY\x01\x00\x76\x00", 10);
    int n = snprintf((char *)data + 10, 118,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d), }", descr, rows,
                     width);
    memset(data + 10 + n, ' ', (size_t)(118 - n));
    data[127] = '\n';
    for (int i = 0; i < there * width; i++) {
        float x = (float)(1 + i % 5 - i % 3);
        memcpy(data + 128 + i * 4, &x, 4);
    }
    put(run, name, data, bytes);
    free(data);
}

static void put_all(const struct run *run)
{
    char path[2 * HARNESS_PATH_BYTES];
    static const char text[] = "Once upon a time.\n";
    put(run, "text.txt", text, sizeof text - 1);
    put(run, "empty.txt", "", 0);
    put(run, "no.gguf", "this is no model\n", 17);
    put(run, "torn.gguf", "GGUF\3\0\0\0", 8);
    put(run, "empty.npy", "", 0);
    put(run, "no.npy", "this is no array\n", 17);
    put(run, "no.safetensors", "this is no tensor file, of course\n", 34);
    put(run, "huge.safetensors", "\377\377\377\377\377\377\377\177{}", 10);
    put_npy(run, "good.npy", "<f4", 600, WIDTH, 600);
    put_npy(run, "short.npy", "<f4", 600, WIDTH, 300);
    put_npy(run, "integers.npy", "<i4", 600, WIDTH, 600);
    put_npy(run, "narrow.npy", "<f4", 600, 8, 600);
    put_npy(run, "wide.npy", "<f4", 2, 131073, 2);
    snprintf(path, sizeof path, "%s/folder.npy", run->dir);
    mkdir(path, 0700);
}

/* ---- the table: DIR stands for the test's folder ---- */

#define SINK        "sink: { size: 16MiB }\n"
#define TRAINER     "trainer: { batch_rows: 64, saes: [ { name: rows, arch: count } ] }\n"
#define SYN         "engine: synthetic, synthetic: { features: 32, width: 16, rows: 2000"
#define FILES(f)    "capture: { engine: files, files: [DIR/" f "] }\n" SINK TRAINER
#define LONG        "a_name_of_fifty_bytes_which_is_what_makes_it_too_long"
#define ENDPOINT(e) "capture: { " SYN " } }\nbroker: { " e " }\n" SINK TRAINER
#define LLAMA(model, corpus)                                                                       \
    "model: " model ", hooks: [resid_post.2]",                                                     \
        "capture: { corpus: [" corpus "], context_tokens: 64, threads: 1 }\n" SINK TRAINER

static const struct verdict {
    const char *extra, *rest;
    int code;
    const char *words; /* of the sentence; "" where it is good */
} verdicts[] = {
    /* good */
    {"", "capture: { " SYN " } }\n" SINK TRAINER, 0, ""},
    {"", "capture: { " SYN " } }\n" SINK "trainer: { consumers: [] }\n", 0, ""},
    {"",
     "capture: { " SYN " } }\nsink: { size: 16MiB }\n"
     "trainer: { consumers: [], batch_rows: 1000000, saes: [ { arch: count } ] }\n",
     0, ""},
    {"", "capture: { " SYN ", sequence_rows: 1000 }, producers: 5 }\n" SINK TRAINER, 0, ""},
    {"", "capture: { " SYN " }, rows: 2, producers: 3 }\n" SINK TRAINER, 0, ""},
    {"", "capture: { " SYN " } }\nsink: { size: 16MiB, slab: 64KiB }\n" TRAINER, 0, ""},
    {"",
     "capture: { " SYN " } }\n" SINK "trainer: { batch_rows: 64, consumers: [a, b],\n"
     "  saes: [ { name: rows, arch: count } ] }\n",
     0, ""},
    {"policy: shed", "capture: { " SYN " } }\n" SINK TRAINER, 0, ""},
    {"dtype: f32", FILES("good.npy"), 0, ""},
    {"",
     "capture: { engine: synthetic, synthetic: { features: 2, l0: 1, width: 131072, rows: 64, "
     "sequence_rows: 8 } }\nsink: { size: 512MiB }\n"
     "trainer: { batch_rows: 8, eval_rows: 1, saes: [ { name: rows, arch: count } ] }\n",
     0, ""},
    /* configuration */
    {"", "capture: { " SYN " } }\n" SINK "trainer: { saes: [] }\n", 2, "trainer.saes"},
    {"", "capture: { " SYN " } }\n" SINK, 2, "trainer.saes"},
    {"", "capture: { " SYN " }, producers: 200 }\n" SINK TRAINER, 2, "too small for 200 producers"},
    {"", "capture: { " SYN " } }\nsink: { size: 16MiB, slab: 17 }\n" TRAINER, 2, "sink.slab"},
    {"", "capture: { " SYN " } }\nsink: { size: 16MiB, slab: 4MiB }\n" TRAINER, 2, "sink.slab"},
    {"",
     "capture: { " SYN " } }\n" SINK "trainer: { batch_rows: 1000000, saes: [ {arch: count} ] }\n",
     2, "a quarter of the buffer"},
    {"",
     "capture: { " SYN " } }\n" SINK
     "trainer: { batch_rows: 64, min_rows: 100000000, saes: [ {arch: count} ] }\n",
     2, "trainer.min_rows"},
    {"",
     "capture: { engine: synthetic, synthetic: { features: 2, l0: 1, width: 131072, rows: 10 } "
     "}\n" SINK "trainer: { consumers: [] }\n",
     2, "sink.size"},
    {"", "capture: { " SYN ", groups: 100 } }\n" SINK TRAINER, 2, "groups"},
    {"", "capture: { " SYN ", zipf_exponent: 9 } }\n" SINK TRAINER, 2, "zipf_exponent"},
    {"hooks: [a, b]", "capture: { " SYN " } }\n" SINK TRAINER, 2, "hook"},
    {"",
     "capture: { " SYN " } }\n" SINK "trainer: { batch_rows: 64, saes: [ {arch: transcoder, "
     "features: 32, k: 4} ] }\n",
     2, "hooks"},
    {"",
     "capture: { " SYN " } }\n" SINK "trainer: { batch_rows: 64, saes: [ {arch: topk, features: "
     "8, k: 9} ] }\n",
     2, "trainer.saes.0.k"},
    {"", "capture: { engine: files }\n" SINK TRAINER, 2, "capture.files"},
    {"", "capture: { engine: llama }\n" SINK TRAINER, 2, "stream.model"},
    /* endpoints: {"", ...} with front or http, whose words are said before anything starts */
    {"", ENDPOINT("front: tcp://localhost:15555"), 2, "HINT: tcp://127.0.0.1:15555"},
    {"", ENDPOINT("front: tcp://lo:15555"), 2, "no address of four numbers"},
    {"", ENDPOINT("front: tcp://somewhere.example:15555"), 2, "no address of four numbers"},
    {"", ENDPOINT("front: tcp://127.0.0.999:15555"), 2, "no address of four numbers"},
    {"", ENDPOINT("front: tcp://127.1:15555"), 2, "no address of four numbers"},
    {"", ENDPOINT("front: \"tcp://[::1]:15555\""), 2, "IPv6"},
    {"", ENDPOINT("back: \"tcp://::1:15555\""), 2, "broker.back: 'tcp://::1:15555' is an IPv6"},
    {"", ENDPOINT("front: \"tcp://*:1\""), 2, "no address of four numbers"},
    {"", ENDPOINT("front: tcp://127.0.0.1:15555"), 2, "keygen"},
    {"", ENDPOINT("insecure_tcp: true, front: tcp://127.0.0.1:15555"), 0, ""},
    {"", ENDPOINT("insecure_tcp: true, front: tcp://0.0.0.0:15555"), 2, "for loopback alone"},
    {"", ENDPOINT("keys: DIR/keys, front: tcp://127.0.0.1:15555"), 2, "DIR/keys/client.key"},
    {"", ENDPOINT("front: tcp://127.0.0.1:0"), 2, "leaves the port open"},
    {"", ENDPOINT("back: \"tcp://127.0.0.1:*\""), 2, "leaves the port open"},
    {"", ENDPOINT("front: tcp://127.0.0.1"), 2, "has no port from 1 to 65535"},
    {"", ENDPOINT("front: tcp://127.0.0.1:65536"), 2, "has no port from 1 to 65535"},
    {"", ENDPOINT("front: ipc:///front"), 2, "in a folder of its own"},
    {"", ENDPOINT("front: ipc://DIR/sockets/"), 2, "in a folder of its own"},
    {"", ENDPOINT("front: ipc://relative/front"), 2, "in a folder of its own"},
    {"", ENDPOINT("back: ipc:///tmp/front"), 2, "can be entered by others; HINT"},
    {"", ENDPOINT("front: ipc://DIR/text.txt"), 2, "is there and is no socket"},
    {"", ENDPOINT("front: ipc://DIR/" LONG "/" LONG), 2, "the system takes 107"},
    {"", ENDPOINT("front: ipc://DIR/sockets/front"), 0, ""},
    {"", ENDPOINT("http: 127.1:0"), 2, "is not an address"},
    {"", ENDPOINT("http: 127.0.0.999:0"), 2, "is not an address"},
    {"", ENDPOINT("http: \"[::1]:0\""), 0, ""},
    /* files of rows */
    {"", FILES("missing.npy"), 2, "missing.npy"},
    {"", FILES("folder.npy"), -1, "folder.npy"},
    {"", FILES("empty.npy"), 1, "empty.npy"},
    {"", FILES("no.npy"), 1, "no.npy"},
    {"", FILES("short.npy"), 1, "short.npy"},
    {"", FILES("integers.npy"), 1, "integers.npy"},
    {"", FILES("no.safetensors"), 1, "no.safetensors"},
    {"", FILES("huge.safetensors"), 1, "huge.safetensors"},
    {"", FILES("good.npy, DIR/narrow.npy"), -1, "narrow.npy"},
    {"", FILES("wide.npy"), 1, "a row has 1 to 131072"},
    /* models and corpora */
    {LLAMA("DIR/missing.gguf", "DIR/text.txt"), 2, "missing.gguf"},
    {LLAMA("DIR/no.gguf", "DIR/text.txt"), 1, "no.gguf"},
    {LLAMA("DIR/torn.gguf", "DIR/text.txt"), -1, "torn.gguf"},
    {LLAMA("DIR/no.gguf", "DIR/missing.txt"), 2, "missing.txt"},
    {LLAMA("smollm2", "DIR/empty.txt"), 1, "empty.txt"},
};

static void fill_in(const struct run *run, const char *text, char *out)
{
    size_t used = 0;
    for (const char *p = text; *p && used < TEXT_BYTES - HARNESS_PATH_BYTES;) {
        if (strncmp(p, "DIR", 3) != 0) {
            out[used++] = *p++;
            continue;
        }
        used += (size_t)snprintf(out + used, HARNESS_PATH_BYTES, "%s", run->dir);
        p += 3;
    }
    out[used] = '\0';
}

/* The last "sluice: ..." of what check said. */
static void sentence_of(const char *err, char *out)
{
    const char *last = NULL;
    for (const char *p = err; (p = strstr(p, "sluice: ")); p++)
        if (p == err || p[-1] == '\n') last = p + strlen("sluice: ");
    snprintf(out, TEXT_BYTES, "%.*s", last ? (int)strcspn(last, "\n") : 0, last ? last : "");
}

static int has_model(struct run *run)
{
    char path[2 * HARNESS_PATH_BYTES];
    run_configure(run, "model: smollm2, hooks: [resid_post.2]", "capture: { corpus: [CORPUS] }\n");
    snprintf(path, sizeof path, "--set=capture.corpus=%s/text.txt", run->dir);
    run_command(run, SECONDS, "sluice", "check", run->config, path, NULL);
    return !strstr(run->err, "'smollm2' is neither");
}

static int wrong(const char *what, const struct run *run, const char *rest)
{
    print_message("%s: %s\n%s\n", what, run->err, rest);
    return 1;
}

static int judge(struct run *run, const struct verdict *v)
{
    char extra[TEXT_BYTES], rest[TEXT_BYTES], words[TEXT_BYTES], sentence[TEXT_BYTES], what[128];
    fill_in(run, v->extra, extra);
    fill_in(run, v->rest, rest);
    run_configure(run, extra, rest);
    int checked = run_command(run, SECONDS, "sluice", "check", run->config, NULL);
    sentence_of(run->err, sentence);
    snprintf(what, sizeof what, "check ended with %d, not %d", checked, v->code);
    if (v->code >= 0 ? checked != v->code : checked == 0) return wrong(what, run, rest);
    fill_in(run, v->words, words);
    if (!strstr(sentence, words)) return wrong(words, run, rest);
    int code = run_command(run, SECONDS, "sluice", "up", "--fresh", run->config, NULL);
    snprintf(what, sizeof what, "check ended with %d, up with %d", checked, code);
    if (code != checked) return wrong(what, run, rest);
    if (!strstr(run->err, sentence)) return wrong(sentence, run, rest);
    return strstr(run->err, "started again") ? wrong("tried twice", run, rest) : 0;
}

static void check_and_up_agree(void **state)
{
    struct run *run = *state;
    put_all(run);
    int model = has_model(run);
    if (!model) print_message("no model in the cache: without what needs one\n");
    int bad = 0;
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++)
        if (model || !strstr(verdicts[i].extra, "smollm2")) bad += judge(run, &verdicts[i]);
    assert_int_equal(bad, 0);
}

/* By itself a process ends with the codes that people know. */
static void a_capture_alone_ends_with_one(void **state)
{
    struct run *run = *state;
    char rest[TEXT_BYTES];
    put_all(run);
    fill_in(run, FILES("no.npy"), rest);
    run_configure(run, "", rest);
    assert_int_equal(run_command(run, SECONDS, "sluice-capture", run->config, NULL), 1);
    assert_non_null(strstr(run->err, "no.npy"));
}

/* With an argument: only the tests whose names match that pattern. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(check_and_up_agree, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_capture_alone_ends_with_one, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests_name("verdicts", tests, NULL, NULL);
}
