/* Rows out of a graph as llama.cpp shows its nodes, here made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>
#include <string.h>

#include "base/err.h"
#include "engine/llama_capture.h"

enum { WIDTH = 4, ROWS = 3, UBATCHES = 2, VOCABULARY = 10 };

static const int32_t submitted[UBATCHES * ROWS] = {5, 1, 7, 2, 2, 9};
static const int32_t positions[UBATCHES * ROWS] = {0, 1, 2, 3, 4, 5};
static struct llama_capture capture;
static struct llama_hooks hooks;
static float values[UBATCHES * ROWS * WIDTH];

struct graph {
    struct ggml_tensor *tokens, *embedding, *again, *layer; /* `again`: in another table */
};

static struct ggml_tensor *named(struct ggml_tensor *t, const char *name)
{
    ggml_set_name(t, name);
    return t;
}

static struct graph graph_of(struct ggml_context *ggml)
{
    struct graph g;
    g.tokens = named(ggml_new_tensor_1d(ggml, GGML_TYPE_I32, ROWS), "inp_tokens");
    struct ggml_tensor *table = ggml_new_tensor_2d(ggml, GGML_TYPE_F32, WIDTH, VOCABULARY);
    struct ggml_tensor *other = ggml_new_tensor_2d(ggml, GGML_TYPE_F32, WIDTH, VOCABULARY);
    g.embedding = ggml_get_rows(ggml, named(table, "token_embd.weight"), g.tokens);
    g.again = ggml_get_rows(ggml, named(other, "blk.0.ffn_gate_tid2eid.weight"), g.tokens);
    g.layer = named(ggml_new_tensor_2d(ggml, GGML_TYPE_F32, WIDTH, ROWS), "l_out-0");
    return g;
}

/* As llama.cpp does: whether it is wanted, and where it is, that it is there. */
static void show(struct ggml_tensor *node)
{
    if (llama_capture_eval(node, true, &capture)) llama_capture_eval(node, false, &capture);
}

static void a_layer_looks_the_tokens_up_again(void **state)
{
    (void)state;
    static const char *const names[] = {"resid_post.0"};
    struct ggml_context *ggml =
        ggml_init((struct ggml_init_params){.mem_size = 1 << 20, .no_alloc = true});
    struct graph g[UBATCHES];
    for (int u = 0; u < UBATCHES; u++) g[u] = graph_of(ggml);
    ggml_backend_buffer_t memory =
        ggml_backend_alloc_ctx_tensors_from_buft(ggml, ggml_backend_cpu_buffer_type());
    assert_non_null(memory);
    assert_int_equal(llama_hooks_parse(names, 1, &hooks), ERR_OK);
    hooks.hook[0].width = WIDTH;
    capture = (struct llama_capture){.hooks = &hooks};
    llama_capture_begin(&capture, CAPTURE_ROWS, submitted, positions, UBATCHES * ROWS, values);
    for (int u = 0; u < UBATCHES; u++) {
        float rows[ROWS * WIDTH];
        for (int i = 0; i < ROWS * WIDTH; i++) rows[i] = (float)(100 * u + i);
        ggml_backend_tensor_set(g[u].tokens, submitted + u * ROWS, 0, ROWS * sizeof *submitted);
        ggml_backend_tensor_set(g[u].layer, rows, 0, sizeof rows);
        show(g[u].embedding);
        show(g[u].again);
        show(g[u].layer);
        assert_memory_equal(values + u * ROWS * WIDTH, rows, sizeof rows);
    }
    int result = llama_capture_end(&capture);
    if (result != ERR_OK) fail_msg("%s", err_text());
    llama_capture_free(&capture);
    ggml_backend_buffer_free(memory);
    ggml_free(ggml);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_looks_the_tokens_up_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
