/* The callback on graphs made of nodes that no model has computed: look-ups of tokens, positions, layers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "tap/graph.h"
#include "tests/unit/client/ring_reader.h"
#include "tests/unit/tap/adding_table.h"

enum { WIDTH = 4, UBATCH = 3, UBATCHES = 2, TOKENS = UBATCH * UBATCHES, ROOM = 16 };

static char folder[256];
static struct graph graph;
static struct submitted submitted;
static struct outlet outlet;
static struct steering steering;
static struct library library;
static const struct special special = {.token = {-1, -1, -1, -1}};

/* ---- a host, and a table that adds 1 ---- */

static bool is_host(ggml_backend_buffer_t buffer)
{
    (void)buffer;
    return true;
}

static void make_table(void)
{
    struct adding_table table;
    size_t bytes = adding_table(&table, WIDTH, 1);
    char *data = malloc(bytes);
    assert_non_null(data);
    memcpy(data, &table, bytes);
    assert_int_equal(steer_check(data, bytes, &steering.table), ERR_OK);
}

static void make_outlet(void)
{
    const struct sluice_hook hook = {"resid_post.2", WIDTH};
    const char *names[] = {"resid_post.2"};
    struct sluice_options o = {.size = sizeof o,
                               .stream = "live",
                               .hooks = &hook,
                               .hooks_count = 1,
                               .dtype = SLUICE_F32,
                               .ring_bytes = 1000000,
                               .folder = folder};
    outlet = (struct outlet){0};
    assert_int_equal(llama_hooks_parse(names, 1, &outlet.hooks), ERR_OK);
    outlet.hooks.hook[0].width = WIDTH;
    if (sluice_open(&o, &outlet.sluice) != SLUICE_OK) fail_msg("%s", sluice_error());
}

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof folder, "%s/tap-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) return -1;
    library.ggml_backend_buffer_is_host = is_host;
    make_table();
    make_outlet();
    graph = (struct graph){0};
    if (submitted_make(&submitted, ROOM) != ERR_OK) return -1;
    return graph_make(&graph, ROOM, &special) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    graph_free(&graph);
    submitted_free(&submitted);
    sluice_close(outlet.sluice);
    struct ring_view view;
    while (view_open(folder, &view) == 0) view_close(&view);
    free(steering.table.facts);
    return rmdir(folder);
}

/* ---- nodes ---- */

static int stops; /* the program's own callback, at layer 0 */

static bool own(struct ggml_tensor *t, bool asks, void *arg)
{
    (void)arg;
    int is_it = stops && strcmp(t->name, "l_out-0") == 0;
    return asks ? is_it : !is_it;
}

static int32_t tokens[UBATCH], positions[UBATCH];
static float values[UBATCH * WIDTH];

static struct ggml_tensor tensor(const char *name, enum ggml_type type, int64_t a, int64_t b,
                                 void *data)
{
    size_t size = type == GGML_TYPE_F16 ? 2 : 4;
    struct ggml_tensor t = {
        .type = type,
        .ne = {a, b, 1, 1},
        .nb = {size, size * (size_t)a, size * (size_t)(a * b), size * (size_t)(a * b)},
        .data = data,
        .buffer = (void *)&library};
    snprintf(t.name, sizeof t.name, "%s", name);
    return t;
}

/* As llama.cpp asks; 0: its node has stopped the pass. */
static int eval(struct ggml_tensor *t)
{
    return !graph_eval(t, true, &graph) || graph_eval(t, false, &graph);
}

static void look_up(const char *table)
{
    struct ggml_tensor of = tensor(table, GGML_TYPE_F32, WIDTH, 100, NULL);
    struct ggml_tensor ids = tensor("inp_tokens", GGML_TYPE_I32, UBATCH, 1, tokens);
    struct ggml_tensor t = tensor("embd", GGML_TYPE_F32, WIDTH, UBATCH, values);
    t.op = GGML_OP_GET_ROWS;
    t.src[0] = &of;
    t.src[1] = &ids;
    eval(&t);
}

static void rope(void)
{
    struct ggml_tensor at = tensor("inp_pos", GGML_TYPE_I32, UBATCH, 1, positions);
    struct ggml_tensor t = tensor("Qcur", GGML_TYPE_F32, WIDTH, UBATCH, values);
    t.op = GGML_OP_ROPE;
    t.src[1] = &at;
    eval(&t);
}

static void layer(const char *name)
{
    struct ggml_tensor t = tensor(name, GGML_TYPE_F32, WIDTH, UBATCH, values);
    eval(&t);
}

/* ---- passes ---- */

/* Token p at position p of slot 0. */
static void begin(enum graph_mode mode)
{
    submitted_clear(&submitted);
    for (int32_t p = 0; p < TOKENS; p++) {
        submitted_add(&submitted, p, p, 0, 1);
        submitted.entry[p].sequence = 1;
    }
    graph_begin(&graph, &library, mode, &outlet, &steering, &submitted);
}

static void next_ubatch(int u)
{
    for (int i = 0; i < UBATCH; i++) tokens[i] = positions[i] = u * UBATCH + i;
    memset(values, 0, sizeof values);
}

static void is_whole(void)
{
    struct ring_view view;
    if (graph_end(&graph, 1) != ERR_OK) fail_msg("%s", err_text());
    assert_int_equal(graph.ubatches, UBATCHES);
    assert_int_equal(graph.steered_ubatches, UBATCHES);
    assert_int_equal(graph.steered_rows, TOKENS);
    assert_int_equal(view_open(folder, &view), 0);
    assert_int_equal(atomic_load(&view.ring->host.count[RING_WRITTEN]), TOKENS);
    view_close(&view);
}

/* Two look-ups, in this order, before the first layer. */
static void adapted(const char *first, const char *second)
{
    begin(GRAPH_ROWS);
    for (int u = 0; u < UBATCHES; u++) {
        next_ubatch(u);
        look_up(first);
        look_up(second);
        rope();
        layer("l_out-1");
        layer("l_out-2");
    }
    is_whole();
}

static void an_adapter_looks_the_tokens_up_too(void **state)
{
    (void)state;
    adapted("token_embd.weight", "token_embd.weight.lora_a");
}

static void an_adapter_may_come_first(void **state)
{
    (void)state;
    adapted("token_embd.weight.lora_a", "token_embd.weight");
}

static void a_table_may_be_looked_up_twice(void **state)
{
    (void)state;
    adapted("token_embd.weight", "token_embd.weight");
}

static void layers_that_look_up(const char *const table[UBATCHES])
{
    for (int u = 0; u < UBATCHES; u++) {
        next_ubatch(u);
        look_up(table[u]);
        rope();
        look_up("blk.0.ffn_gate_tid2eid.weight");
        layer("l_out-0");
        rope();
        look_up("blk.1.ffn_gate_tid2eid.weight");
        layer("l_out-1");
        layer("l_out-2");
    }
}

static void a_layer_looks_the_tokens_up_again(void **state)
{
    static const char *const table[] = {"token_embd.weight", "token_embd.weight"};
    (void)state;
    begin(GRAPH_ROWS);
    layers_that_look_up(table);
    is_whole();
}

/* A back end has several copies of one, for passes that overlap. */
static void a_table_may_be_a_copy(void **state)
{
    static const char *const table[] = {"CUDA0#token_embd.weight#0", "CUDA0#token_embd.weight#1"};
    (void)state;
    begin(GRAPH_ROWS);
    layers_that_look_up(table);
    is_whole();
}

/* A pass that learns sees a whole graph, too: two nodes of one name with a look-up between them. */
static void two_nodes_of_a_name_are_seen_over_a_look_up(void **state)
{
    (void)state;
    outlet.hooks.hook[0].width = 0;
    begin(GRAPH_LEARN);
    next_ubatch(0);
    look_up("token_embd.weight");
    rope();
    layer("l_out-2");
    look_up("blk.0.ffn_gate_tid2eid.weight");
    layer("l_out-2");
    assert_int_equal(graph_end(&graph, 1), ERR_USAGE);
    assert_non_null(strstr(err_text(), "2 nodes of this model"));
}

/* ---- steering beside a capture that fails ---- */

static void whole_ubatch(void)
{
    look_up("token_embd.weight");
    rope();
    layer("l_out-1");
    layer("l_out-2");
}

static void all_is_steered(int result, const char *why)
{
    assert_int_equal(graph_end(&graph, 1), result);
    if (!strstr(err_text(), why)) fail_msg("no '%s' in: %s", why, err_text());
    assert_int_equal(graph.steered_rows, TOKENS);
    assert_string_equal(graph.unsteered, "");
    assert_true(values[0] == 1);
}

static void a_pass_of_strange_tokens_is_steered(void **state)
{
    (void)state;
    begin(GRAPH_ROWS);
    next_ubatch(0);
    tokens[0] = 77;
    whole_ubatch();
    next_ubatch(1);
    whole_ubatch();
    all_is_steered(ERR_MISMATCH, "");
}

static void a_pass_whose_hook_holds_no_rows_is_steered(void **state)
{
    (void)state;
    begin(GRAPH_ROWS);
    outlet.hooks.hook[0].width = WIDTH + 1;
    for (int u = 0; u < UBATCHES; u++) {
        next_ubatch(u);
        whole_ubatch();
    }
    all_is_steered(ERR_USAGE, "l_out-2 does not hold");
}

/* What was not steered is told, by its reason, whatever came of the capture. */
static void unsteered(const char *why)
{
    graph_end(&graph, 1);
    if (!strstr(graph.unsteered, why)) fail_msg("no '%s' in: %s", why, graph.unsteered);
}

static void why_a_pass_is_not_steered_is_told(void **state)
{
    (void)state;
    begin(GRAPH_ROWS);
    next_ubatch(0);
    look_up("token_embd.weight");
    layer("l_out-1"); /* no position is known yet */
    rope();
    layer("l_out-2");
    unsteered("l_out-1 lies before");
    begin(GRAPH_ROWS);
    next_ubatch(0);
    tokens[0] = 77;
    look_up("token_embd.weight");
    rope();
    layer("l_out-2");
    unsteered("no node l_out-1 to steer at");
    begin(GRAPH_ROWS);
    graph.steering = NULL;
    next_ubatch(0);
    whole_ubatch();
    unsteered("");
    assert_string_equal(graph.unsteered, "");
}

static void a_pass_that_the_program_stops_is_no_other_model(void **state)
{
    (void)state;
    graph.other = own;
    stops = 1;
    begin(GRAPH_ROWS);
    next_ubatch(0);
    look_up("token_embd.weight");
    rope();
    layer("l_out-0");
    assert_int_equal(graph_end(&graph, 1), ERR_OK);
    assert_string_equal(graph.unsteered, "");
    stops = 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_adapter_looks_the_tokens_up_too),
        CASE(an_adapter_may_come_first),
        CASE(a_table_may_be_looked_up_twice),
        CASE(a_layer_looks_the_tokens_up_again),
        CASE(a_table_may_be_a_copy),
        CASE(two_nodes_of_a_name_are_seen_over_a_look_up),
        CASE(a_pass_of_strange_tokens_is_steered),
        CASE(a_pass_whose_hook_holds_no_rows_is_steered),
        CASE(why_a_pass_is_not_steered_is_told),
        CASE(a_pass_that_the_program_stops_is_no_other_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
